"""Lists what the module mod_wsgi has, and what the events of a process carry; tries its log handler."""

import logging
import os
import sys

import mod_wsgi

payloads = {}


def note(name, **payload):
    payloads.setdefault(name, set()).update(payload)
    if name.startswith("process_"):
        print(f"event {name}: {' '.join(sorted(payload))}", file=sys.stderr, flush=True)


assert mod_wsgi.subscribe_events(note) is note
assert mod_wsgi.subscribe_shutdown(note) is note
if mod_wsgi.process_group:
    assert mod_wsgi.subscribe_signals(note) is note

logger = logging.getLogger("of the module")
logger.propagate = False
logger.setLevel(logging.DEBUG)
handler = mod_wsgi.LogHandler()
handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
logger.addHandler(handler)


def kind(value):
    if isinstance(value, type):
        return f"class of {value.__bases__[0].__name__}"
    return "function" if callable(value) else type(value).__name__


def keys(metrics):
    return " ".join(sorted(metrics)) if isinstance(metrics, dict) else repr(metrics)


def application(environ, start_response):
    path, text = environ["PATH_INFO"], "done\n"
    if path == "/names":
        text = "".join(f"{name}={kind(getattr(mod_wsgi, name))}\n" for name in dir(mod_wsgi) if not name.startswith("__"))
    elif path == "/payloads":
        text = "".join(f"{name}={' '.join(sorted(keys))}\n" for name, keys in payloads.items())
    elif path == "/metrics":
        mod_wsgi.start_recording_metrics()
        text = f"request={keys(mod_wsgi.request_metrics())}\nprocess={keys(mod_wsgi.process_metrics())}\n"
        text += f"thread={keys(mod_wsgi.process_metrics()['threads'][0])}\n"
    elif path == "/pid":
        text = f"{os.getpid()}"
    elif path == "/fail":
        raise ValueError("deliberately")
    elif path == "/log":
        for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG):
            logger.log(level, "of level %d", level)
        logger.warning("first line\nsecond line")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
