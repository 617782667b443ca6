"""Prepares an interpreter for applications: what is said best in Python.

Executed once per interpreter, with these globals: `mod_wsgi` (the module), `settings` (a dict), `stderr` and `stdout` (streams into
the error log), `write_log(level, text)`, `add_site_failed(directory, error)` and `is_forked()`.
"""

import atexit
import os
import site
import sys
import threading  # Whoever imports it first is Python's main thread for ever: in the main interpreter that must not be a request's.

ERROR, WARNING, INFO, DEBUG = 3, 4, 6, 7


def set_streams():
    """Send standard error and output to the error log; take away what is restricted."""
    sys.stderr = stderr
    sys.stdout = stdout
    if settings["restrict_stdout"]:
        # Python flushes its streams at its end, after the functions of atexit, of which the first comes last.
        atexit.register(setattr, sys, "stdout", stdout)
        sys.stdout = Restricted("sys.stdout")
    if settings["restrict_stdin"]:
        sys.stdin = Restricted("sys.stdin")


class Restricted:
    """Stands for a stream that applications are not to use."""

    def __init__(self, name):
        object.__setattr__(self, "_name", name)

    def __getattribute__(self, attribute):
        raise OSError(f"{object.__getattribute__(self, '_name')} access restricted by mod_wsgi")


def restrict_signals():
    """Ignore handlers that an application registers: the signals belong to the server."""
    # What signal.signal() calls. The module itself, which brings enum along, is left for whoever needs it.
    import _signal

    original = _signal.signal

    def ignore(signalnum, handler):
        if is_forked():
            return original(signalnum, handler)
        import traceback

        write_log(INFO, f"Ignoring Python signal handler registration for signal {int(signalnum)}.")
        for part in traceback.format_stack():
            for line in part.splitlines():
                write_log(INFO, line)
        return handler

    ignore.__name__ = ignore.__qualname__ = "signal"
    ignore.__doc__ = original.__doc__
    _signal.signal = ignore


def fix_environment():
    """Let os.environ tell of the user that the process runs as, and of the egg cache."""
    if settings["daemon"]:
        try:
            import pwd

            user = pwd.getpwuid(os.geteuid())
        except (ImportError, KeyError):
            user = None
        if user is not None:
            for name in ("USER", "USERNAME", "LOGNAME"):
                if name in os.environ:
                    os.environ[name] = user.pw_name
            os.environ["HOME"] = user.pw_dir
    if settings["eggs"] is not None:
        os.environ["PYTHON_EGG_CACHE"] = settings["eggs"]


def extend_path(directories):
    """Add the directories of the Python path with their .pth files, before everything else and in order."""
    before = list(sys.path)
    for directory in directories:
        write_log(INFO, f"Adding '{directory}' to Python module search path.")
        try:
            site.addsitedir(directory)
        except Exception as error:
            add_site_failed(directory, error)
            break
        # A directory that does not exist yet may do so later.
        if directory not in sys.path:
            sys.path.append(directory)
    wanted = [os.path.abspath(directory) for directory in directories]
    known = set(before) - set(wanted)
    sys.path[:] = [entry for entry in sys.path if entry not in known] + [entry for entry in sys.path if entry in known]


def add_log_handler():
    """Make mod_wsgi.LogHandler when somebody asks for it, because not every application imports logging."""
    making = threading.Lock()

    def __getattr__(name):
        if name != "LogHandler":
            raise AttributeError(f"module 'mod_wsgi' has no attribute {name!r}")
        import logging

        with making:
            # Threads that ask at the same time get the same class.
            return vars(mod_wsgi).get(name) or make(logging)

    def make(logging):
        class LogHandler(logging.Handler):
            """Writes log records to the error log of the request or the server, with their level."""

            def emit(self, record):
                try:
                    level = 2 if record.levelno >= 50 else ERROR if record.levelno >= 40 else WARNING if record.levelno >= 30 else (
                        INFO if record.levelno >= 20 else DEBUG
                    )
                    for line in self.format(record).split("\n"):
                        write_log(level, line, record.pathname, record.lineno)
                except Exception:
                    self.handleError(record)

        LogHandler.__module__, LogHandler.__qualname__ = "mod_wsgi", "LogHandler"
        mod_wsgi.LogHandler = LogHandler
        return LogHandler

    mod_wsgi.__getattr__ = __getattr__
    mod_wsgi.__dir__ = lambda: sorted({*vars(mod_wsgi), "LogHandler"} - {"__getattr__", "__dir__"})


def install_module():
    """Put the module into sys.modules; an installed package of its name lends its submodules."""
    package = None
    try:
        import mod_wsgi as package
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "mod_wsgi":
            register(None)
            return
        import traceback

        write_log(ERROR, "WSGI0188: the installed 'mod_wsgi' package could not be imported and is ignored")
        for line in traceback.format_exc().splitlines():
            write_log(ERROR, line)
    register(package)


def register(package):
    """Put the module into sys.modules with the path of `package`, if that is one."""
    if hasattr(package, "__path__"):
        mod_wsgi.__path__ = package.__path__
        write_log(INFO, "Imported existing 'mod_wsgi' Python extension module.")
    sys.modules["mod_wsgi"] = mod_wsgi


def install_apache_module():
    """Make the module `apache`, with an external one as its base where there is one in embedded mode."""
    import types

    module = None
    if not settings["daemon"]:
        try:
            import apache as module
        except Exception:
            pass
    if module is None:
        module = sys.modules["apache"] = types.ModuleType("apache")
    for name in ("version", "description", "mpm_name", "build_date", "maximum_processes", "threads_per_process"):
        setattr(module, name, settings["apache_" + name])


if settings["switch_interval"] is not None:
    sys.setswitchinterval(settings["switch_interval"])
set_streams()
sys.argv = ["mod_wsgi"]
if settings["restrict_signal"]:
    restrict_signals()
fix_environment()
for layer in settings["path"]:
    extend_path(layer)
if settings["home"] is not None:
    sys.path.insert(0, settings["home"])
add_log_handler()
install_module()
install_apache_module()
