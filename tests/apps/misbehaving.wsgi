"""Harms its own process, as the query string says."""

import ctypes
import os
import signal
import threading
import time


def leave():
    os._exit(3)


def crash():
    ctypes.string_at(1)


def abort():
    os.abort()


def close_all():
    os.closerange(0, 1024)


def fork():
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(0)
    return child


def ignore():
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        libc.signal(number, 1)
    threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()


def allocate():
    pieces = []
    while True:
        pieces.append(bytearray(8 << 20))


def spin():
    # One call into C for minutes, which keeps Python's lock.
    return 3 ** (10**9) % 7


FAULTS = {function.__name__: function for function in (leave, crash, abort, close_all, fork, ignore, allocate, spin)}


def application(environ, start_response):
    fault = FAULTS.get(environ["QUERY_STRING"])
    said = fault() if fault else os.getpid()
    body = str(said).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
