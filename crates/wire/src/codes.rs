//! The codes of log lines: numbers that never change, with level, meaning and the next step.
//!
//! Numbers below 300 are mod_wsgi's, where the meaning is the same; ours begin at 300. A line of level warning and above has a code, and so
//! have those at info that an operator looks for;
//! [`Code::line`] is how it is put together: what happened, then what to do.

use crate::log::Level;
use std::fmt::{self, Display};

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The number in `WSGI####`.
    pub number: u16,
    /// The level its lines have.
    pub level: Level,
    /// What has happened, for the table in the documentation.
    pub meaning: &'static str,
    /// What it means for requests and processes, for the same table.
    pub effect: &'static str,
    /// What the operator does next, behind what has happened: a sentence without its final stop, or nothing where the line needs no more.
    pub remedy: &'static str,
    /// The same for the table, which says it of each code.
    pub advice: &'static str,
}

impl Code {
    /// The text of a line: the code, what happened this time (without a final stop), and the remedy.
    #[must_use]
    pub fn line(&self, what: impl Display) -> String {
        if self.remedy.is_empty() { format!("{self}: {what}") } else { format!("{self}: {what}; {}", self.remedy) }
    }
}

impl Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WSGI{:04}", self.number)
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal, $level:ident, $meaning:literal, $effect:literal, $($remedy:literal)? $(page $advice:literal)?;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: Code = Code {
                number: $number,
                level: Level::$level,
                meaning: $meaning,
                effect: $effect,
                remedy: concat!($($remedy)?),
                advice: concat!($($remedy)? $($advice)?),
            };
        )*

        /// Every code.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

// After the meaning comes the effect, then what to do: behind `page` it is for the table only.
codes! {
    // A group's supervisor and its workers.
    CHROOT = 3, Alert, "The root directory could not be changed (chroot).", "the group does not start, its requests are answered 503",
        "check 'chroot='";
    GROUP_ID = 4, Alert, "The group id could not be set.", "the group does not start, its requests are answered 503",
        "httpd must be started as root for 'group='";
    GROUPS = 5, Alert, "The supplementary groups could not be set.", "the group does not start, its requests are answered 503",
        "check 'supplementary-groups='";
    GROUPS_OF_USER = 6, Alert, "The groups of the user could not be found.", "the group does not start, its requests are answered 503",
        "add the user to the system or give 'supplementary-groups='";
    USER_ID = 7, Alert, "The user id could not be set.", "the group does not start, its requests are answered 503",
        "httpd must be started as root for 'user='";
    HOME = 9, Alert, "The working directory of 'home=' cannot be entered.", "the group does not start, its requests are answered 503",
        "create it, or let the group's user enter it";
    USER_HOME = 10, Warn, "The working directory without 'home=', the user's home or httpd's own, cannot be entered: it is '/'.",
        "workers run in `/`",
        "give 'home=' if the application relies on its working directory";
    FORK = 24, Alert, "No process could be started.", "the group has a process less; it is tried again",
        "see whether the system is out of processes or memory";
    PRIORITY = 75, Warn, "The CPU priority could not be set.", "workers run with httpd's priority",
        "check 'cpu-priority='";
    INTERPRETER = 300, Crit, "The Python interpreter of a group cannot be executed by its user.",
        "the group does not start, its requests are answered 503",
        "check 'python-home=' or WSGIPythonHome, and that the user may enter each directory on the way";
    HOST = 301, Crit, "The host, mod_wsgi_python.so, cannot be read by the group's user.",
        "the group does not start, its requests are answered 503",
        "install it where that user can read it";
    WORKER_DIED = 302, Error, "A worker ended without having been told to.",
        "the request that it executed is answered 502, or cut short; another worker is started at once",
        page "see the lines before, the application's own log, and the kernel's for a signal";
    WORKER_NOT_READY = 303, Error, "A worker ended before it was ready.", "another one is started, at growing intervals",
        page "see the lines before: the interpreter or a script has said why";
    GROUP_FAILED = 304, Crit, "No worker of a group can be started: its requests are answered 503.",
        "503 for each request, until a worker can be started",
        "it is tried again, at growing intervals of at most 30 s";
    RELOAD_FAILED = 305, Error, "A changed script could not be loaded: the old code goes on serving.",
        "requests are answered by the code before the change",
        "it is tried again when it changes";
    SETTINGS_FAILED = 306, Error, "No worker could be started with new settings: those with the old ones go on serving.",
        "requests are answered under the settings before the restart",
        "it is tried again, at growing intervals of at most 30 s";
    STARTUP_TIMEOUT = 307, Error, "A worker was not ready, or has not loaded a script for its first request, within startup-timeout and is ended.",
        "another worker is started",
        "see what the scripts do while they are loaded, or raise 'startup-timeout='";
    CONTROL = 308, Crit, "A control message was not understood, or not taken.", "what was asked of the process does not happen",
        "the three files must be of one build: after an installation stop httpd and start it, a restart keeps the loaded module";
    WATCH = 309, Warn, "Scripts cannot be watched (inotify): changes are seen by the next request only.",
        "the first request after a change waits for the load, instead of none",
        "raise fs.inotify.max_user_instances or fs.inotify.max_user_watches";
    COUNTERS = 310, Alert, "The shared counters of a group cannot be used.", "the group does not start, its requests are answered 503",
        "restart httpd";
    MEMORY = 312, Warn, "A worker comes near the limit of its memory and is replaced.",
        "another worker takes over before; no request is lost",
        "see what the application keeps, or raise the limit";
    NO_TEMPLATE = 313, Warn, "preload= has no effect on a generation of workers: each loads the scripts by itself.",
        "workers start more slowly, and share less memory",
        "let the script start its threads with the first request, not when it is imported";
    SUPERVISOR = 311, Alert, "The supervisor of a group cannot work.", "the group has no processes until another supervisor is started",
        page "see the reason in the line, and whether the system is out of processes, descriptors or memory";
    ACCEPT = 18, Crit, "A worker cannot take connections.", "the worker ends, and another one is started",
        "see whether its limits or the system are out of descriptors or memory";
    THREAD = 22, Alert, "A request thread of a worker could not be started.", "the worker ends, and another one is started",
        "check 'threads=', 'stack-size=' and the memory limits";
    PEER = 34, Alert, "A connection to a worker came from somebody else than an httpd child of ours; it was refused.",
        "none for requests of httpd's own",
        "if httpd has just been restarted, the request is tried again; otherwise see who connects";
    LOCALE = 79, Warn, "The locale of 'locale=' is not supported.", "workers run in the locale that they have inherited",
        "see 'locale -a' for those that are";
    REQUEST_FRAME = 80, Error, "A worker could not read a request from httpd.", "the request is answered 502",
        "the three files must be of one build: after an installation stop httpd and start it, a restart keeps the loaded module";
    QUEUE_TIMEOUT = 84, Error, "A request has waited for longer than queue-timeout and was not begun.", "the request is answered 504",
        "add processes or threads, or raise 'queue-timeout='";
    REQUEST_PANIC = 320, Error, "A fault of ours has ended a request.", "the request is answered 500, or cut short; the process goes on",
        "please report it, with the line before";
    SHUTDOWN_TIMEOUT = 321, Warn, "A worker did not end within shutdown-timeout and ends without order.",
        "exit handlers of the application may not have run",
        "see what its requests and its exit handlers wait for, or raise 'shutdown-timeout='";
    WORKER = 322, Crit, "A worker cannot work.", "the worker ends, and another one is started",
        page "see the reason in the line; if it is not the machine's, please report it";
    REQUEST_TIMEOUT = 323, Warn, "A request has run for longer than request-timeout.",
        "the request is answered 504, or cut short; its process may be replaced",
        "the lines that follow say what the process was doing; see what it waits for, or raise 'request-timeout='";
    REQUEST_STUCK = 324, Warn, "A request did not end within interrupt-timeout after it was interrupted: its process is replaced.",
        "its process is replaced when its other requests are done",
        "the lines that follow say what the process was doing; code that waits in C cannot be interrupted";
    DEADLOCK_TIMEOUT = 325, Error, "Python's lock could not be had within deadlock-timeout: the process ends at once.",
        "the requests of the process are answered 502, or cut short; another one is started",
        "the lines that follow say what the process was doing; see which extension module keeps the lock";
    INACTIVITY_TIMEOUT = 326, Info, "A process has had nothing to do for inactivity-timeout: it is replaced by one that has loaded nothing yet.",
        "the memory of what was loaded is free again; the next request waits for its script",
        page "raise 'inactivity-timeout=' if the wait is too long";
    RESTART_INTERVAL = 327, Info, "A process has served for restart-interval: it is replaced.",
        "none for requests: another process takes over before",
        page "nothing, it is what 'restart-interval=' asks for";
    SLOW_REQUEST = 328, Warn, "A request has run for longer than slow-request.", "none, the request goes on",
        "the lines that follow say what its thread was doing";

    NEVER_RENEWED = 329, Error, "A request waited for the new code of a script (reload=strict), and no process with it came.",
        "the request is answered 500",
        "see the lines before for why none could be started";

    // httpd's side: requests on their way.
    PYTHON_START = 1, Crit, "Python could not be started in an httpd child: its embedded requests are answered 500.",
        "embedded applications, and scripts of access control, are answered 500 or 403 there",
        page "see the reason in the line, and check WSGIPythonHome";
    QUEUE_FULL = 116, Error, "The queue of a daemon group was full, with queue-limit= at once, otherwise until connect-timeout.",
        "the request is answered 503 with Retry-After",
        "add processes or threads, or raise 'queue-limit=' or 'listen-backlog='";
    CONNECT = 117, Error, "The socket of a daemon group cannot be reached.", "the request is answered 503",
        "see the error log at httpd's start";
    BODY_TIMEOUT = 119, Error, "A worker sent nothing more of a response within socket-timeout.",
        "the response is cut short, and the client can see it",
        "see what the application waits for, or raise 'socket-timeout='";
    CLIENT_WRITE = 120, Error, "The response could not be sent to the client.", "the response is cut short",
        page "nothing, if clients have a bad connection; otherwise compare 'response-socket-timeout=' with Timeout";
    BODY_READ = 126, Error, "The request body could not be read from the client.",
        "the application gets an OSError where it reads, or the request is answered 400, 408 or 500",
        page "nothing, if clients have a bad connection; otherwise see RequestReadTimeout and LimitRequestBody";
    EXEC_CGI = 134, Error, "A script is not run because Options ExecCGI is off.", "the request is answered 403",
        "add 'Options +ExecCGI' for the directory, or use WSGIScriptAlias";
    SCRIPT_MISSING = 135, Error, "The script of a URL does not exist.", "the request is answered 404",
        "check the path in WSGIScriptAlias";
    SCRIPT_IS_DIRECTORY = 136, Error, "A URL leads to a directory where a script is expected.", "the request is answered 403",
        "name a script in it";
    PATH_INFO = 137, Error, "A URL goes on after the script although AcceptPathInfo is Off.", "the request is answered 404",
        "set 'AcceptPathInfo On'";
    TRANSFER_ENCODING = 138, Error, "The transfer coding of a request is unknown.", "the request is answered 501",
        page "see which client sends it: HTTP knows 'chunked' only";
    CHUNKED = 139, Error, "A chunked request body is not allowed.", "the request is answered 411",
        "set 'WSGIChunkedRequest On' if the application can read it";
    CONTENT_LENGTH = 141, Error, "The Content-Length of a request is no number.", "the request is answered 400",
        page "see which client or proxy sends it";
    EMBEDDED_RESTRICTED = 143, Error, "A request came to embedded mode, which WSGIRestrictEmbedded forbids.", "the request is answered 500",
        "set WSGIProcessGroup for the URL, or process-group= of its WSGIScriptAlias";
    HEAD_TIMEOUT = 145, Error, "A worker did not answer within socket-timeout.", "the request is answered 504",
        "see what the application waits for, or raise 'socket-timeout='";
    REQUEST_LOST = 146, Error, "A worker ended while it executed a request.", "the request is answered 502, or cut short",
        page "see the lines around it: they say how the worker ended";
    MALFORMED = 148, Error, "A worker sent something that is no response.", "the request is answered 502, or cut short",
        page "see whether the application writes to descriptors that are not its own; otherwise please report it";
    FLOOD = 359, Error, "A worker sent log lines, or other frames that bring the client nothing, without end: the request is given up.",
        "the request is answered 502, or cut short",
        "see what the application logs in such quantity";
    GROUP_RESTRICTED = 149, Error, "The process group of a request is not in WSGIRestrictProcess.", "the request is answered 500",
        "add it there, or choose another";
    NO_GROUPS = 150, Error, "A request is for a daemon group, and none is defined.", "the request is answered 500",
        "define it with WSGIDaemonProcess";
    NO_SUCH_GROUP = 151, Error, "A request is for a daemon group that is not defined.", "the request is answered 500",
        "define it with WSGIDaemonProcess";
    GROUP_ELSEWHERE = 152, Error, "A request is for a daemon group of another virtual host.", "the request is answered 500",
        "define the group outside of virtual hosts, or give both the same ServerName";
    NO_DISPATCH_INTERPRETER = 86, Error, "The interpreter of WSGIDispatchScript is not there: the request fails with 500.",
        "the request is answered 500",
        page "see the line with WSGI0001 at the child's start";
    DISPATCH_FAILED = 348, Error, "WSGIDispatchScript failed, so nobody can say where to serve a request.", "the request is answered 500",
        page "see the traceback that follows, and mend the script";
    PYTHON_NOT_RUNNING = 210, Error, "An embedded request came to an httpd child without Python.", "the request is answered 500",
        "see the line with WSGI0001 at the child's start";
    INTERNAL = 340, Crit, "An internal error of ours has ended what was being done.", "what was being done is not, and the process goes on",
        "please report this line";
    BODY_SPOOL = 341, Error, "A request body could not be kept in a temporary file.", "the request is answered 500",
        "see whether the folder for temporary files is full";
    REFUSED = 342, Error, "A worker refused a connection of httpd's.", "the request is answered 502",
        "the request can be sent again";
    GROUP_DOWN = 343, Error, "A request is for a daemon group without workers.", "the request is answered 503",
        "the reason stands further up in the error log, at WSGI0304 or WSGI0345";
    SUPERVISOR_DIED = 344, Error, "The supervisor of a daemon group has ended without having been told to.",
        "workers end with it; requests wait in the queue for those of the next one",
        "another one is started";
    MODULE_REPLACED = 352, Warn, "The file of the module was replaced while httpd runs: a restart keeps the old one, its processes get the new files.",
        "new workers may not understand the old module",
        "stop httpd and start it";
    GROUP_START = 345, Alert, "A daemon group could not be started.", "requests of this group are answered 503",
        "correct it and restart httpd; all other groups are served";
    SERVICE_GROUP = 350, Error, "A request is for a daemon group that runs a service script (threads=0): it is answered 503.",
        "the request is answered 503",
        "give the URL another process group, or the group threads";
    SLOW = 351, Warn, "A request has taken longer than WSGISlowRequests allows.", "none, the response was sent",
        "'slow-request=' of its daemon group logs where such a request is";
    GROUP_UNDEFINED = 347, Alert, "A directive names a daemon group that no WSGIDaemonProcess defines: httpd does not start.",
        "httpd does not start, or keeps its configuration on a restart",
        page "define the group with WSGIDaemonProcess, or correct the name";
    NO_SCOREBOARD = 353, Warn, "A process cannot tell workers httpd's scoreboard: mod_wsgi.server_metrics() may have no answer.",
        "mod_wsgi.server_metrics() gives None in daemon groups",
        page "see whether the system is out of threads or descriptors";
    NO_EFFECT = 346, Warn, "A directive or option is understood and has no effect.", "none",
        page "nothing; take the line out of the configuration when mod_wsgi itself will not read it any more";

    // Access control.
    NO_USER_SCRIPT = 41, Error, "The provider 'wsgi' is used for Basic authentication without WSGIAuthUserScript.",
        "the request is answered 500",
        "set WSGIAuthUserScript";
    NO_USER_INTERPRETER = 42, Error, "The interpreter of WSGIAuthUserScript is not there: Basic authentication fails with 500.",
        "the request is answered 500",
        page "see the line with WSGI0001 at the child's start";
    NO_CHECK_PASSWORD = 43, Error, "WSGIAuthUserScript has no function check_password.", "the request is answered 500",
        "define check_password(environ, user, password)";
    NO_DIGEST_SCRIPT = 44, Error, "The provider 'wsgi' is used for Digest authentication without WSGIAuthUserScript.",
        "the request is answered 500",
        "set WSGIAuthUserScript";
    NO_DIGEST_INTERPRETER = 45, Error, "The interpreter of WSGIAuthUserScript is not there: Digest authentication fails with 500.",
        "the request is answered 500",
        page "see the line with WSGI0001 at the child's start";
    NO_REALM_HASH = 46, Error, "WSGIAuthUserScript has no function get_realm_hash.", "the request is answered 500",
        "define get_realm_hash(environ, user, realm)";
    NO_GROUP_INTERPRETER = 48, Error, "The interpreter of WSGIAuthGroupScript is not there: the request is denied.", "the user is denied",
        page "see the line with WSGI0001 at the child's start";
    GROUP_NAME_ENCODING = 49, Error, "A group's name cannot be encoded in latin-1: the request is denied.", "the user is denied",
        "return names of latin-1 characters, or bytes";
    GROUP_NAME_TYPE = 50, Error, "A group's name is neither str nor bytes: the request is denied.", "the user is denied",
        page "let groups_for_user give str or bytes";
    GROUPS_TYPE = 51, Error, "What groups_for_user returned is not iterable: the request is denied.", "the user is denied",
        page "let groups_for_user return a list";
    NO_GROUPS_FOR_USER = 52, Error, "WSGIAuthGroupScript has no function groups_for_user.", "the user is denied",
        "define groups_for_user(environ, user)";
    NO_ACCESS_INTERPRETER = 54, Error, "The interpreter of WSGIAccessScript is not there: the request is denied.",
        "the request is answered 403",
        page "see the line with WSGI0001 at the child's start";
    ACCESS_TYPE = 55, Error, "What allow_access returned is neither True, False nor None: the request is denied.",
        "the request is answered 403",
        page "let allow_access return True, False or None";
    NO_ALLOW_ACCESS = 56, Error, "WSGIAccessScript has no function allow_access.", "the request is answered 403",
        "define allow_access(environ, host)";
    ACCESS_DENIED = 57, Error, "WSGIAccessScript denies a client.", "the request is answered 403",
        page "nothing, it is what the script is for";
    NO_GROUP_SCRIPT = 58, Error, "'Require wsgi-group' is used without WSGIAuthGroupScript.", "the user is denied",
        "set WSGIAuthGroupScript";
    NO_GROUP_OF_USER = 59, Error, "WSGIAuthGroupScript says that a user is in no group.", "the user is denied",
        page "nothing, if the user is in no group";
    NOT_IN_GROUP = 60, Error, "A user is in none of the groups that are required.", "the user is denied",
        page "nothing, if the user is not to be let in; names are compared without their case";
    USER_NAME_EMPTY = 176, Error, "check_password returned an empty name.", "the request is answered 500",
        page "let check_password return True, or the new name";
    PASSWORD_TYPE = 177, Error, "What check_password returned is neither True, False, None nor a name.", "the request is answered 500",
        page "let check_password return True, False, None or a str";
    REALM_HASH_EMPTY = 178, Error, "get_realm_hash returned an empty hash.", "the request is answered 500",
        page "let get_realm_hash return None for users that it does not know";
    REALM_HASH_TYPE = 179, Error, "What get_realm_hash returned is neither str, bytes nor None.", "the request is answered 500",
        page "let get_realm_hash return the hash as str or bytes, or None";

    // The owners of scripts (script-user=, script-group=).
    SCRIPT_GROUP_UNKNOWN = 153, Error, "The group of a requested file cannot be found out.", "the request is answered 403",
        page "give the file a group that the system knows";
    SCRIPT_GROUP = 155, Error, "A requested file does not belong to the group of 'script-group='.", "the request is answered 403",
        "change the file's group";
    SCRIPT_GROUP_WORLD = 157, Error, "A requested file of a daemon group with 'script-group=' may be written by everybody.",
        "the request is answered 403",
        "take that right away";
    FOLDER_GROUP_UNKNOWN = 158, Error, "The group of a requested file's directory cannot be found out.", "the request is answered 403",
        page "give the directory a group that the system knows";
    FOLDER_GROUP = 160, Error, "The directory of a requested file does not belong to the group of 'script-group='.",
        "the request is answered 403",
        "change the directory's group";
    FOLDER_GROUP_WORLD = 161, Error, "The directory of a file of a daemon group with 'script-group=' may be written by everybody.",
        "the request is answered 403",
        "take that right away";
    SCRIPT_USER_UNKNOWN = 162, Error, "The owner of a requested file cannot be found out.", "the request is answered 403",
        page "give the file an owner that the system knows";
    SCRIPT_USER = 164, Error, "A requested file does not belong to the user of 'script-user='.", "the request is answered 403",
        "change the file's owner";
    SCRIPT_USER_GROUP = 166, Error, "A requested file of a daemon group with 'script-user=' may be written by its group.",
        "the request is answered 403",
        "take that right away";
    SCRIPT_USER_WORLD = 168, Error, "A requested file of a daemon group with 'script-user=' may be written by everybody.",
        "the request is answered 403",
        "take that right away";
    FOLDER_USER_UNKNOWN = 169, Error, "The owner of a requested file's directory cannot be found out.", "the request is answered 403",
        page "give the directory an owner that the system knows";
    FOLDER_USER = 171, Error, "The directory of a requested file does not belong to the user of 'script-user='.",
        "the request is answered 403",
        "change the directory's owner";
    FOLDER_USER_WORLD = 172, Error, "The directory of a file of a daemon group with 'script-user=' may be written by everybody.",
        "the request is answered 403",
        "take that right away";
    FOLDER_USER_GROUP = 173, Error, "The directory of a file of a daemon group with 'script-user=' may be written by its group.",
        "the request is answered 403",
        "take that right away";
    OUTSIDE_CHROOT = 81, Error, "A script is outside of the root directory of its daemon group (chroot=).", "the request is answered 502",
        "move the script, or change 'chroot='";

    // Python and the scripts in it.
    PREPARE = 35, Crit, "An interpreter could not be prepared.",
        "requests for its application group are answered 500; the next one tries again",
        page "see the traceback that follows, with WSGI0188";
    NO_INTERPRETER = 87, Error, "The interpreter of a request's application group is not there.", "the request is answered 500",
        page "see the lines before, with WSGI0035 or WSGI0103";
    NO_CALLABLE = 89, Error, "A script has no callable of the configured name.", "the request is answered 500",
        "define it, or name another by WSGICallableObject";
    SITE_DIRECTORY = 91, Error, "A directory of the Python path could not be added; those after it are left out.",
        "modules in those directories cannot be imported",
        page "see the reason in the line, and the .pth files of the directory";
    SUB_INTERPRETER = 103, Error, "A sub-interpreter could not be created.",
        "requests for its application group are answered 500; the next one tries again",
        page "see the reason in the line; %{GLOBAL} needs no sub-interpreter";
    SCRIPT_UNREADABLE = 105, Error, "A script could not be read or compiled, for a request.",
        "the request is answered 500; the next one tries again",
        page "see the reason in the lines that follow, and mend the script";
    IMPORT_UNREADABLE = 106, Error, "A script could not be read or compiled, before any request.",
        "the script is loaded by the first request for it, or not at all",
        page "see the reason in the lines that follow, and mend the script";
    SCRIPT_EXIT = 107, Error, "A script raised SystemExit while it was executed, for a request.",
        "the request is answered 500; the next one tries again",
        "a script must not end the process";
    IMPORT_EXIT = 108, Error, "A script raised SystemExit while it was executed, before any request.",
        "the script is loaded by the first request for it, or not at all",
        "a script must not end the process";
    SCRIPT_FAILED = 109, Error, "A script raised an exception while it was executed, for a request.",
        "the request is answered 500; the next one tries again",
        page "see the traceback that follows, and mend the script";
    IMPORT_FAILED = 110, Error, "A script raised an exception while it was executed, before any request.",
        "the script is loaded by the first request for it, or not at all",
        page "see the traceback that follows, and mend the script";
    EVENT_CALLBACK = 112, Error, "A callback of an event raised an exception.", "the next callback is called, and the request goes on",
        page "see the traceback that follows, and mend the callback";
    EXCEPTION = 174, Error, "The application raised an exception.",
        "the request is answered 500, or cut short; a script of access control denies",
        page "see the traceback that follows, and mend the application";
    SYSTEM_EXIT = 175, Error, "The application raised SystemExit, which ends the request only.",
        "the request is answered 500, or cut short; the process goes on",
        page "let the application return, instead of leaving the process";
    EXTENSION = 349, Error, "An extension module cannot be used in a sub-interpreter.", "the request is answered 500",
        "let the application live in the main interpreter: WSGIApplicationGroup %{GLOBAL}";
    SET_UP = 188, Error, "An exception was raised while an interpreter was prepared.",
        "requests for its application group are answered 500",
        page "see the traceback that follows: sitecustomize, a .pth file or the mod_wsgi package has raised it";
    OWN_GIL = 198, Warn, "WSGIPerInterpreterGIL has no effect: extension modules crash with locks of their own before Python 3.13.",
        "its interpreters share one lock",
        "use Python 3.13 or later, or remove WSGIPerInterpreterGIL";
    SHARED_INTERVAL = 199, Warn, "A switch interval of one application group is not set, because interpreters share their lock.",
        "the interval of the process holds",
        "set WSGIPerInterpreterGIL for the application group, or the interval for the whole process";
    NOT_FREE_THREADED = 200, Warn, "WSGIFreeThreading has no effect: the Python of the process is not free-threaded.",
        "the process runs with its lock",
        "let WSGIPythonHome or 'python-home=' name a free-threaded Python, such as python3.14t, or remove WSGIFreeThreading";
    FREE_THREADING_OF_ONE = 201, Warn, "WSGIFreeThreading has no effect for one application group: the lock is the process's.",
        "the process keeps its lock",
        "write it outside of containers, or into one without 'application-group='";
    NO_GIL_TO_OWN = 202, Warn, "WSGIPerInterpreterGIL has no effect: the process has no lock at all (WSGIFreeThreading).",
        "the threads of all interpreters run at the same time",
        page "take WSGIPerInterpreterGIL out of what holds for this process";
    NO_GIL_TO_SWITCH = 203, Warn, "A switch interval has no effect: the process has no lock at all (WSGIFreeThreading).",
        "the threads of all interpreters run at the same time",
        page "take the switch interval out of what holds for this process";
    EVENT_SYSTEM_EXIT = 190, Error, "A callback of an event raised SystemExit, which is ignored.",
        "the next callback is called, and the request goes on",
        page "let the callback return, instead of leaving the process";
    NO_CLOSE = 194, Error, "The attribute 'close' of a response could not be looked up.",
        "the response is complete; nothing of it was closed",
        page "see the traceback that follows: the response's class has raised it";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_number_has_one_meaning() {
        let numbers: BTreeSet<u16> = ALL.iter().map(|code| code.number).collect();
        assert_eq!(numbers.len(), ALL.len());
    }

    #[test]
    fn each_code_says_what_it_means() {
        for code in ALL {
            assert!(code.meaning.ends_with('.') && !code.remedy.ends_with('.'), "{code}");
            for text in [code.effect, code.advice] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{code}");
            }
            assert!(code.level <= Level::Info, "{code}: lines of debugging have no code");
        }
    }

    #[test]
    fn a_line_has_code_event_and_remedy() {
        assert_eq!(CHROOT.line("cannot enter '/x'"), "WSGI0003: cannot enter '/x'; check 'chroot='");
        assert_eq!(WORKER_DIED.line("it died"), "WSGI0302: it died");
    }
}
