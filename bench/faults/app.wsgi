"""The application of the fault suite: answers with the token it was asked with, and misbehaves when it is told to."""

import ctypes
import os
import signal
import sys
import threading
import time

LEAKED = []


def leak():
    LEAKED.append(bytearray(20 << 20))


def allocate():
    pieces = []
    while True:
        pieces.append(bytearray(8 << 20))


def spin():
    # One call of C for minutes, with the GIL held.
    return 3 ** (10**9) % 7


def ignore():
    # Neither signals nor the end of the main program end this one.
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        libc.signal(number, 1)
    threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()


def close_all():
    os.closerange(0, 1024)


def fork():
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)


def leave():
    os._exit(3)


def crash():
    ctypes.string_at(1)


FAULTS = {function.__name__: function for function in (leak, allocate, spin, ignore, close_all, fork, leave, crash)}


def application(environ, start_response):
    words = environ["QUERY_STRING"].split("&")
    fault = FAULTS.get(words[-1])
    if fault:
        fault()
    elif words[-1].startswith("sleep="):
        time.sleep(float(words[-1][6:]))
    else:
        # A database that is asked, say.
        time.sleep(0.005)
    body = f"{words[0]} {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
