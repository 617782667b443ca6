//! Directives on their way from httpd: the command table, and the one function behind it.

use super::boundary::guard;
use super::pool::{self, Pool, c_string};
use super::regex::Regex;
use super::{ffi, module};
use crate::config::alias::Pattern;
use crate::config::directives::{Apply, Context, DIRECTIVES, Definition, DirectiveError, ServerKey, Site, System, Target};
use crate::config::options::DirOptions;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Arc;

const COUNT: usize = DIRECTIVES.len() + 1;

/// The table, ended by a record without a name.
pub(super) struct Table([ffi::command_rec; COUNT]);

// SAFETY: nobody writes to it, and what it points to is static.
unsafe impl Sync for Table {}

impl Table {
    pub(super) const fn as_ptr(&self) -> *const ffi::command_rec {
        self.0.as_ptr()
    }
}

pub(super) static TABLE: Table = Table(table());

const fn table() -> [ffi::command_rec; COUNT] {
    let end = ffi::command_rec {
        name: std::ptr::null(),
        func: ffi::cmd_func { no_args: None },
        cmd_data: std::ptr::null_mut(),
        req_override: 0,
        args_how: ffi::cmd_how_NO_ARGS,
        errmsg: std::ptr::null(),
    };
    let mut table = [end; COUNT];
    let mut index = 0;
    while index < DIRECTIVES.len() {
        let definition = &DIRECTIVES[index];
        table[index] = ffi::command_rec {
            name: definition.name.as_ptr(),
            func: ffi::cmd_func { raw_args: Some(apply) },
            cmd_data: (&raw const *definition).cast_mut().cast(),
            req_override: context(definition.context),
            args_how: ffi::cmd_how_RAW_ARGS,
            errmsg: definition.help.as_ptr(),
        };
        index += 1;
    }
    table
}

const fn context(context: Context) -> c_int {
    match context {
        Context::Global | Context::Server | Context::GlobalOrBlock => ffi::RSRC_CONF,
        Context::Directory => ffi::RSRC_CONF | ffi::ACCESS_CONF,
        Context::FileInfo => ffi::OR_FILEINFO,
        Context::AuthConfig => ffi::OR_AUTHCFG,
    }
}

/// What httpd calls for each directive of ours.
unsafe extern "C" fn apply(parameters: *mut ffi::cmd_parms, directory: *mut c_void, arguments: *const c_char) -> *const c_char {
    guard(c"internal error while reading this directive".as_ptr(), || {
        // SAFETY: httpd gives the live parameters of the directive; `cmd_data` is the definition that `table` put there, and the
        // directory's options are those of `create_directory`.
        let (parameters, definition, directory, arguments) = unsafe {
            let parameters = &mut *parameters;
            let definition = &*(*parameters.cmd).cmd_data.cast_const().cast::<Definition>();
            (parameters, definition, directory.cast::<DirOptions>(), pool::octets(arguments).unwrap_or(b""))
        };
        match run(parameters, definition, directory, arguments) {
            Ok(()) => std::ptr::null(),
            // SAFETY: the pool of the configuration, or of the request that reads .htaccess, is live.
            Err(text) => unsafe { Pool::lend(parameters.pool) }.string(text.as_bytes()).as_ptr(),
        }
    })
}

fn run(parameters: &mut ffi::cmd_parms, definition: &Definition, directory: *mut DirOptions, arguments: &[u8]) -> Result<(), String> {
    if matches!(definition.context, Context::Global | Context::GlobalOrBlock) {
        // SAFETY: the parameters are live; null or a string.
        let refused = unsafe { pool::octets(ffi::ap_check_cmd_context(parameters, ffi::GLOBAL_ONLY as c_uint)) };
        if let Some(refused) = refused {
            return Err(String::from_utf8_lossy(refused).into_owned());
        }
    }
    let system = Httpd { parameters };
    let (file, line) = place(parameters);
    // SAFETY: the server is live while its configuration is read.
    let server = unsafe { super::server::Server::lend(parameters.server) };
    let name = server.name().map(|name| String::from_utf8_lossy(name).into_owned());
    let site =
        Site { directive: definition.name(), file: &file, line, server: server.key(), server_name: name.as_deref(), system: &system };
    // SAFETY: httpd reads configuration on one thread, and calls one directive at a time; a request that reads .htaccess has options of
    // its own. The main server's configuration lives as long as the reading.
    let (options, global) = unsafe {
        let main = if server.key() == ServerKey::Main { parameters.server } else { ffi::ap_server_conf };
        let global = main.as_mut().and_then(|main| (*module::server_config(main)).global.as_deref_mut());
        (&mut *directory, global)
    };
    // SAFETY: as above: our part of this server, which is another object than `global` and the directory's options.
    let server_options = unsafe { &mut (*module::server_config(parameters.server)).options };
    let is_htaccess = parameters.override_ & ffi::RSRC_CONF == 0 && parameters.override_ & ffi::ACCESS_CONF == 0;
    let target = match global {
        Some(global) if !is_htaccess => Target::Startup { global, server: server_options, directory: options },
        _ => Target::Htaccess { directory: options },
    };
    definition.apply(&site, arguments, target).map_err(|error| error.to_string())?;
    if matches!(definition.apply, Apply::Block(_)) { walk(parameters) } else { Ok(()) }
}

/// Reads what stands in a container, then closes it.
fn walk(parameters: &mut ffi::cmd_parms) -> Result<(), String> {
    // SAFETY: the directive is live, and httpd built the tree of what is in it; the walk calls `apply` for each, which takes the
    // configuration anew.
    unsafe {
        let inner = (*parameters.directive).first_child;
        if let Some(refused) = foreign(inner) {
            return Err(refused);
        }
        let refused = pool::octets(ffi::ap_walk_config(inner, parameters, parameters.context));
        if let Some(global) = ffi::ap_server_conf.as_mut().and_then(|main| (*module::server_config(main)).global.as_deref_mut()) {
            global.close_block();
        }
        refused.map_or(Ok(()), |text| Err(String::from_utf8_lossy(text).into_owned()))
    }
}

/// What is said of the first directive in a container that is not one of its own; ours are refused by their definitions.
///
/// # Safety
/// `first` is null or a live directive of the tree that httpd has built.
unsafe fn foreign(first: *const ffi::ap_directive_t) -> Option<String> {
    // SAFETY: by this function's contract; siblings and names live as long as the tree.
    let names = unsafe {
        std::iter::successors(first.as_ref(), |directive| directive.next.as_ref()).filter_map(|directive| pool::octets(directive.directive))
    };
    let is_ours = |name: &[u8]| DIRECTIVES.iter().any(|ours| ours.name.to_bytes().eq_ignore_ascii_case(name));
    let refused = names.into_iter().find(|name| !is_ours(name))?;
    let directive = String::from_utf8_lossy(refused).trim_start_matches('<').to_owned();
    Some(DirectiveError::NotInBlock { directive }.to_string())
}

fn place(parameters: &ffi::cmd_parms) -> (String, u32) {
    // SAFETY: the directive, if given, is live, and so is its file's name.
    let place = unsafe { parameters.directive.as_ref().map(|directive| (pool::octets(directive.filename), directive.line_num)) };
    match place {
        Some((file, line)) => (String::from_utf8_lossy(file.unwrap_or(b"the command line")).into_owned(), u32::try_from(line).unwrap_or(0)),
        None => ("the command line".to_owned(), 0),
    }
}

/// What directives ask of httpd.
struct Httpd {
    parameters: *const ffi::cmd_parms,
}

impl System for Httpd {
    fn server_root_relative(&self, path: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: the parameters and their pool are live while the directive is read; null or a string of the pool.
        let path = unsafe { pool::octets(ffi::ap_server_root_relative((*self.parameters).pool, c_string(path).as_ptr())) };
        path.map(<[u8]>::to_vec)
    }

    fn uid(&self, name: &str) -> Option<u32> {
        sys::identity::uid_of(name)
    }

    fn gid(&self, name: &str) -> Option<u32> {
        sys::identity::gid_of(name)
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        sys::identity::account(uid).map(|account| account.name)
    }

    fn is_root(&self) -> bool {
        sys::identity::is_root()
    }

    fn compile(&self, pattern: &[u8]) -> Result<Arc<dyn Pattern>, String> {
        Ok(Arc::new(Regex::compile(pattern)?))
    }
}
