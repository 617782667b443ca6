//! The settings of a daemon group: for its processes (`wire`), and for httpd's side of it.

use crate::config::group::{Group, Id};
use crate::config::options::Global;
use std::time::Duration;
use wire::settings::{GroupSettings, Identity, Import, InterpreterBlock, Limits, Octets, Python, Reload, Server, Timeouts};

/// What a group's processes must know besides its options.
#[derive(Clone, Debug)]
pub(crate) struct GroupFacts {
    /// Proves that a peer is an httpd child of ours.
    pub(crate) secret: [u8; 16],
    /// The uids of the httpd children.
    pub(crate) peers: Vec<u32>,
    /// See [`GroupSettings::direct`].
    pub(crate) direct: Vec<u8>,
    /// See [`GroupSettings::scoreboard`].
    pub(crate) scoreboard: Option<Vec<u8>>,
    /// The interpreter to execute, an absolute path: what [`Group::python_home`] leads to.
    pub(crate) interpreter: Vec<u8>,
    /// Whether that is a free-threaded Python, which may run without its lock.
    pub(crate) may_do_without_lock: bool,
    /// Where the host's library is.
    pub(crate) host: Vec<u8>,
    /// See [`GroupSettings::unreached`].
    pub(crate) unreached: Vec<Vec<u8>>,
    /// About the server.
    pub(crate) server: Server,
    /// `LogLevel wsgi:` of the server in which the group is defined.
    pub(crate) log_level: u8,
    /// `User` and `Group` of httpd when root started it; otherwise nobody changes identity.
    pub(crate) user_and_group: Option<(u32, u32)>,
    /// `Timeout` of the server in which the group is defined.
    pub(crate) timeout: Duration,
}

/// What httpd's children must know of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrontSettings {
    /// How long a request may wait until a worker begins it; zero is for ever.
    pub(crate) queue_timeout: Duration,
    /// How long a connection may be tried.
    pub(crate) connect_timeout: Duration,
    /// How long each wait on the socket may take.
    pub(crate) socket_timeout: Duration,
    /// How long a client may take nothing of a response; unset, as long as its connection says.
    pub(crate) client_timeout: Option<Duration>,
    /// The owner that scripts must have.
    pub(crate) script_user: Option<Id>,
    /// The group that scripts must have.
    pub(crate) script_group: Option<Id>,
    /// The directory that the group's processes see as `/`.
    pub(crate) chroot: Option<Vec<u8>>,
    /// Whether its applications may have httpd's scoreboard.
    pub(crate) server_metrics: bool,
}

impl FrontSettings {
    /// How long a client may take nothing of a response that is kept for it.
    pub(crate) fn patience_with_clients(&self) -> Duration {
        self.client_timeout.unwrap_or(self.socket_timeout)
    }
}

impl Group {
    /// The Python of the group: its own, or the server's.
    pub(crate) fn python_home<'g>(&'g self, global: &'g Global) -> Option<&'g [u8]> {
        self.options.python_home.as_deref().or(global.python_home.as_deref())
    }

    /// What httpd's children must know; `timeout` is `Timeout` of the server in which the group is defined.
    pub(crate) fn front(&self, timeout: Duration) -> FrontSettings {
        let options = &self.options;
        FrontSettings {
            queue_timeout: options.queue_timeout.unwrap_or_default(),
            connect_timeout: options.connect_timeout.unwrap_or(Duration::from_secs(15)),
            socket_timeout: self.socket_timeout(timeout),
            client_timeout: [options.response_socket_timeout, options.socket_timeout].into_iter().flatten().find(|own| !own.is_zero()),
            script_user: options.script_user.clone(),
            script_group: options.script_group.clone(),
            chroot: options.chroot.clone(),
            server_metrics: options.server_metrics.unwrap_or(false),
        }
    }

    /// What the group's supervisor and workers must know.
    pub(crate) fn settings(&self, global: &Global, facts: GroupFacts) -> GroupSettings {
        let options = &self.options;
        let octets = |value: &Option<Vec<u8>>| value.clone().map(Octets::from);
        // What is not given stays where `processes` is, or the other bound pushes it.
        let processes = options.processes.unwrap_or(1);
        let fewest = options.min_processes.unwrap_or_else(|| processes.min(options.max_processes.unwrap_or(processes)));
        let most = options.max_processes.unwrap_or(processes).max(fewest);
        GroupSettings {
            name: self.name.clone(),
            secret: facts.secret,
            peers: facts.peers,
            direct: Octets::from(facts.direct),
            scoreboard: facts.scoreboard.map(Octets::from),
            defined_at: self.place.to_string(),
            identity: self.identity(facts.user_and_group),
            limits: Limits {
                cpu_time: options.cpu_time_limit.unwrap_or(0),
                memory: options.memory_limit.unwrap_or(0),
                virtual_memory: options.virtual_memory_limit.unwrap_or(0),
            },
            processes: processes.clamp(fewest, most),
            min_processes: fewest,
            max_processes: most,
            multiprocess: options.processes.is_some() || most > 1,
            threads: options.threads.unwrap_or(15),
            umask: options.umask,
            home: octets(&options.home),
            lang: octets(&options.lang),
            locale: octets(&options.locale),
            display_name: octets(&options.display_name),
            stack_size: options.stack_size.unwrap_or(0),
            maximum_requests: options.maximum_requests.unwrap_or(0),
            listen_backlog: options.listen_backlog.unwrap_or(100),
            timeouts: self.timeouts(facts.timeout),
            reload: options.reload.unwrap_or(Reload::Switch),
            interpreter: Octets::from(facts.interpreter),
            keeps_lock: facts.may_do_without_lock.then(|| !global.is_free_threading(self.name.as_bytes())),
            host: Octets::from(facts.host),
            python: self.python(global, facts.server),
            imports: self.imports(global),
            unreached: facts.unreached.into_iter().map(Octets::from).collect(),
            preload: options.preload.is_some(),
            uses_global: self.uses_global(global),
            log_level: facts.log_level,
        }
    }

    /// The scripts to load before a worker is ready. That of `preload=` is for the main interpreter, as no other one survives a fork,
    /// unless some directive says for which application group it is.
    pub(crate) fn imports(&self, global: &Global) -> Vec<Import> {
        let mut imports = global.imports_of(self.name.as_bytes());
        if let Some(script) = self.preload_into_main(&imports) {
            imports.insert(0, Import { script: Octets::from(script.to_vec()), application_group: Octets::default() });
        }
        imports
    }

    fn preload_into_main(&self, imports: &[Import]) -> Option<&[u8]> {
        self.options.preload.as_deref().filter(|script| !imports.iter().any(|import| import.script == *script))
    }

    /// Giving only `user=` leaves the group at httpd's own: as mod_wsgi does.
    fn identity(&self, user_and_group: Option<(u32, u32)>) -> Identity {
        let options = &self.options;
        let number = |id: &Option<Id>| id.as_ref().map(|id| id.number);
        Identity {
            uid: user_and_group.map(|(user, _)| number(&options.user).unwrap_or(user)),
            gid: user_and_group.map(|(_, group)| number(&options.group).unwrap_or(group)),
            groups: options.supplementary_groups.clone(),
            chroot: options.chroot.clone().map(Octets::from),
            cpu_priority: options.cpu_priority.unwrap_or(0),
        }
    }

    fn timeouts(&self, timeout: Duration) -> Timeouts {
        let options = &self.options;
        let or = |option: Option<Duration>, default| option.unwrap_or(Duration::from_secs(default));
        Timeouts {
            startup: or(options.startup_timeout, 0),
            shutdown: or(options.shutdown_timeout, 5),
            deadlock: or(options.deadlock_timeout, 300),
            inactivity: or(options.inactivity_timeout, 0),
            request: or(options.request_timeout, 0),
            interrupt: or(options.interrupt_timeout, 0),
            graceful: or(options.graceful_timeout, 15),
            eviction: or(options.eviction_timeout, 0),
            restart_interval: or(options.restart_interval, 0),
            slow_request: or(options.slow_request, 0),
            socket: self.socket_timeout(timeout) + self.front(timeout).patience_with_clients(),
        }
    }

    fn socket_timeout(&self, timeout: Duration) -> Duration {
        self.options.socket_timeout.filter(|own| !own.is_zero()).unwrap_or(timeout)
    }

    /// Path and egg cache are the group's own: those of the server are for embedded mode.
    pub(super) fn python(&self, global: &Global, server: Server) -> Python {
        let options = &self.options;
        let path = options.python_path.clone().unwrap_or_default();
        let mut blocks = global.blocks_of(self.name.as_bytes());
        if options.switch_interval.is_some() {
            // The option is for this very group; only an application group of it could be more specific.
            blocks.iter_mut().filter(|block| block.application_group.is_none()).for_each(|block| block.switch_interval = None);
        }
        Python {
            blocks,
            free_threading: global.is_free_threading(self.name.as_bytes()),
            home: self.python_home(global).map(|home| Octets::from(home.to_vec())),
            path: path.into_iter().map(Octets::from).collect(),
            eggs: options.python_eggs.clone().map(Octets::from),
            switch_interval: options.switch_interval.or(global.interpreter.switch_interval),
            server_metrics: options.server_metrics.unwrap_or(false),
            ..global.embedded_python(server)
        }
    }

    /// Whether some directive names the main interpreter for this group, or may. Also where an application group has options of its own:
    /// the main interpreter is prepared before anybody knows which application group would live in it.
    pub(super) fn uses_global(&self, global: &Global) -> bool {
        let has_own = |block: &InterpreterBlock| block.application_group.is_some();
        self.preload_into_main(&global.imports_of(self.name.as_bytes())).is_some()
            || global.blocks_of(self.name.as_bytes()).iter().any(has_own)
            || global.mentions.global_in.iter().any(|group| group.as_ref().is_none_or(|group| group == self.name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, server};
    use super::*;

    fn settings_as(lines: &[&str], user_and_group: Option<(u32, u32)>) -> GroupSettings {
        let reader = read(lines);
        let facts = GroupFacts {
            secret: [7; 16],
            peers: vec![33],
            direct: b"mod_wsgi.1.1".to_vec(),
            scoreboard: None,
            interpreter: b"/usr/bin/python3".to_vec(),
            may_do_without_lock: false,
            host: b"/lib/mod_wsgi_python.so".to_vec(),
            unreached: Vec::new(),
            server: server(),
            log_level: 4,
            user_and_group,
            timeout: Duration::from_secs(60),
        };
        reader.global.groups[0].settings(&reader.global, facts)
    }

    fn settings(lines: &[&str]) -> GroupSettings {
        settings_as(lines, Some((33, 34)))
    }

    #[test]
    fn the_defaults_are_mod_wsgis() {
        let settings = settings(&["WSGIDaemonProcess app"]);
        assert_eq!((settings.processes, settings.multiprocess, settings.threads, settings.listen_backlog), (1, false, 15, 100));
        let seconds = |timeout: Duration| timeout.as_secs();
        let timeouts = settings.timeouts;
        // A worker waits for httpd as long as httpd may wait for the application and for the client.
        assert_eq!([timeouts.shutdown, timeouts.deadlock, timeouts.graceful, timeouts.socket].map(seconds), [5, 300, 15, 120]);
        let off = [timeouts.startup, timeouts.inactivity, timeouts.request, timeouts.interrupt, timeouts.eviction];
        assert!(off.into_iter().chain([timeouts.restart_interval]).all(|timeout| timeout.is_zero()));
        assert_eq!(settings.identity, Identity { uid: Some(33), gid: Some(34), groups: None, chroot: None, cpu_priority: 0 });
        assert_eq!((settings.limits, settings.reload, settings.maximum_requests), (Limits::default(), Reload::Switch, 0));
        assert_eq!((settings.defined_at.as_str(), settings.uses_global), ("test.conf:1", false));
    }

    #[test]
    fn one_process_by_name_is_still_many() {
        assert!(settings(&["WSGIDaemonProcess app processes=1"]).multiprocess);
    }

    #[test]
    fn a_group_is_as_large_as_it_says_or_between_its_bounds() {
        let sizes = |options: &str| {
            let settings = settings(&[&format!("WSGIDaemonProcess app {options}")]);
            (settings.min_processes, settings.processes, settings.max_processes)
        };
        assert_eq!(sizes(""), (1, 1, 1));
        assert_eq!(sizes("processes=4"), (4, 4, 4));
        assert_eq!(sizes("min-processes=0 max-processes=3"), (0, 1, 3));
        assert_eq!(sizes("processes=4 max-processes=8"), (4, 4, 8));
        assert_eq!(sizes("processes=4 min-processes=2"), (2, 4, 4));
        assert_eq!(sizes("processes=4 max-processes=2"), (2, 2, 2));
        assert_eq!(sizes("min-processes=2"), (2, 2, 2));
    }

    #[test]
    fn a_script_to_preload_is_for_the_main_interpreter_unless_an_import_says_otherwise() {
        let imports = |lines: &[&str]| {
            let GroupSettings { imports, uses_global, preload, .. } = settings(lines);
            assert!(preload && imports.len() == 1);
            (imports[0].application_group.to_vec(), uses_global)
        };
        assert_eq!(imports(&["WSGIDaemonProcess app preload=/a.wsgi"]), (Vec::new(), true));
        let import = "WSGIImportScript /a.wsgi process-group=app application-group=own";
        assert_eq!(imports(&["WSGIDaemonProcess app preload=/a.wsgi", import]), (b"own".to_vec(), false));
    }

    #[test]
    fn a_user_alone_keeps_the_servers_group() {
        let identity = settings(&["WSGIDaemonProcess app user=www-data"]).identity;
        assert_eq!((identity.uid, identity.gid), (Some(33), Some(34)));
        let identity = settings(&["WSGIDaemonProcess app group=staff"]).identity;
        assert_eq!((identity.uid, identity.gid), (Some(33), Some(50)));
    }

    #[test]
    fn who_is_not_root_changes_nobody() {
        let identity = settings_as(&["WSGIDaemonProcess app user=www-data"], None).identity;
        assert_eq!((identity.uid, identity.gid), (None, None));
    }

    #[test]
    fn path_and_eggs_are_the_groups_own_and_the_home_may_be() {
        let server =
            ["WSGIDaemonProcess app", "WSGIPythonPath /lib", "WSGIPythonEggs /eggs", "WSGIPythonHome /venv", "WSGIPythonOptimize 1"];
        let python = settings(&server).python;
        assert_eq!((python.path.len(), python.eggs, python.optimize), (0, None, 1));
        assert_eq!(python.home, Some(Octets::from(b"/venv".to_vec())));
        let own = ["WSGIDaemonProcess app python-home=/own python-path=/a:/b switch-interval=0.5", "WSGISwitchInterval 0.1"];
        let python = settings(&own).python;
        assert_eq!((python.path.len(), python.switch_interval), (2, Some(0.5)));
        assert_eq!(python.home, Some(Octets::from(b"/own".to_vec())));
    }

    #[test]
    fn the_main_interpreter_is_kept_for_whom_it_may_be_asked() {
        let uses = |line: &str| settings(&["WSGIDaemonProcess app", "WSGIDaemonProcess other", line]).uses_global;
        assert!(uses("WSGIApplicationGroup %{GLOBAL}"));
        assert!(uses("WSGIScriptAlias / /a.wsgi process-group=app application-group=%{GLOBAL}"));
        assert!(!uses("WSGIScriptAlias / /a.wsgi process-group=other application-group=%{GLOBAL}"));
        assert!(!uses("WSGIApplicationGroup %{RESOURCE}"));
    }

    #[test]
    fn each_group_loads_its_own_scripts_in_order() {
        let lines = [
            "WSGIDaemonProcess app",
            "WSGIScriptAlias / /a.wsgi process-group=app application-group=x",
            "WSGIImportScript /embedded.py process-group=%{GLOBAL} application-group=x",
            "WSGIImportScript /b.py process-group=app application-group=%{GLOBAL}",
        ];
        let scripts: Vec<_> = settings(&lines).imports.into_iter().map(|import| import.script.into_vec()).collect();
        assert_eq!(scripts, [b"/a.wsgi".to_vec(), b"/b.py".to_vec()]);
    }

    #[test]
    fn httpds_side_has_timeouts_of_its_own() {
        let front = |options: &str| {
            let reader = read(&[&format!("WSGIDaemonProcess app {options}")]);
            reader.global.groups[0].front(Duration::from_secs(60))
        };
        let seconds = |front: FrontSettings| [front.queue_timeout, front.connect_timeout, front.socket_timeout].map(|time| time.as_secs());
        assert_eq!(seconds(front("")), [0, 15, 60]);
        assert_eq!(seconds(front("queue-timeout=5 connect-timeout=2 socket-timeout=9")), [5, 2, 9]);
        assert_eq!(seconds(front("socket-timeout=0")), [0, 15, 60]);
        let of_clients =
            [("", None), ("socket-timeout=9 response-socket-timeout=0", Some(9)), ("socket-timeout=9 response-socket-timeout=3", Some(3))];
        for (options, timeout) in of_clients {
            assert_eq!(front(options).client_timeout, timeout.map(Duration::from_secs), "{options}");
        }
    }
}
