"""Does what the query string says for as long as it says, then names its process; tells of signals and of its end."""

import ctypes
import os
import sys
import time

import mod_wsgi


def tell(event, **payload):
    if event in ("process_signal", "process_stopping"):
        known = {name: payload[name] for name in ("signame", "shutdown_reason") if name in payload}
        print(event, *known.values(), file=sys.stderr, flush=True)


if hasattr(mod_wsgi, "subscribe_events"):
    mod_wsgi.subscribe_events(tell)


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def sleep(seconds):
    time.sleep(seconds)


def keep_lock(seconds):
    ctypes.PyDLL(None).sleep(int(seconds))


def application(environ, start_response):
    what, _, seconds = environ["QUERY_STRING"].partition("=")
    if what:
        {"spin": spin, "burn": burn, "sleep": sleep, "lock": keep_lock}[what](float(seconds))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
