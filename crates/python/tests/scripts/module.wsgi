"""Checks the mod_wsgi module and its surroundings."""
import logging
import os
import signal
import sys

import apache
import mod_wsgi


def application(environ, start_response):
    assert mod_wsgi.version == (6, 1, 1) and mod_wsgi.process_group == ""
    assert mod_wsgi.maximum_processes == 1 and mod_wsgi.threads_per_process == 8
    assert mod_wsgi.FileWrapper is environ["wsgi.file_wrapper"]
    assert issubclass(mod_wsgi.RequestTimeout, BaseException) and not issubclass(mod_wsgi.RequestTimeout, Exception)
    assert issubclass(mod_wsgi.LogHandler, logging.Handler) and "LogHandler" in dir(mod_wsgi)
    try:
        mod_wsgi.no_such_thing
    except AttributeError:
        pass
    assert apache.version == (2, 4, 71) and apache.mpm_name == "event"
    before = signal.getsignal(signal.SIGTERM)
    handler = lambda *_: None
    assert signal.signal(signal.SIGTERM, handler) is handler and signal.getsignal(signal.SIGTERM) is before
    assert sys.path[0].endswith("/library") and "/library/nested" in "".join(sys.path), sys.path
    assert sys.dont_write_bytecode and sys.flags.optimize == 0 and sys.flags.hash_randomization == 1, sys.flags
    assert "ignore::ImportWarning" in sys.warnoptions and abs(sys.getswitchinterval() - 0.002) < 1e-6
    assert os.environ.get("PYTHONHASHSEED") is None and os.environ.get("PYTHONWARNINGS") is None
    logger = logging.getLogger("test")
    logger.addHandler(mod_wsgi.LogHandler())
    logger.warning("a warning")
    logger.critical("a disaster\nin two lines")
    name = mod_wsgi.subscribe_signals(print)
    assert name is print and mod_wsgi.signal_callbacks == []
    start_response("200 OK", [])
    return [b"ok"]
