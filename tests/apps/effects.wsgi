"""Tells what the directives about Python and about the process have made of it, a name and a value per line."""

import atexit
import ctypes
import os
import resource
import signal
import sys


def stdout():
    try:
        sys.stdout.write("")
        return "free"
    except OSError:
        return "restricted"


def handler():
    try:
        return "ignored" if signal.signal(signal.SIGUSR1, signal.SIG_DFL) == signal.SIG_DFL else "replaced"
    except ValueError:
        # Python's own answer outside of the main thread.
        return "real"


def stack():
    """The size of the calling thread's stack, by pthread_getattr_np(3)."""
    libc = ctypes.CDLL(None)
    attributes, size = ctypes.create_string_buffer(64), ctypes.c_size_t()
    libc.pthread_self.restype = ctypes.c_void_p
    libc.pthread_getattr_np(ctypes.c_void_p(libc.pthread_self()), attributes)
    libc.pthread_attr_getstacksize(attributes, ctypes.byref(size))
    return size.value


def application(environ, start_response):
    facts = {
        "bytecode": not sys.dont_write_bytecode,
        "warnings": " ".join(sys.warnoptions),
        "optimize": sys.flags.optimize,
        "hash": hash("a string"),
        "eggs": os.environ.get("PYTHON_EGG_CACHE"),
        "stdout": stdout(),
        "signal": handler(),
        "groups": sorted(os.getgroups()),
        "stack": stack(),
        "cpu": resource.getrlimit(resource.RLIMIT_CPU)[0],
        "data": resource.getrlimit(resource.RLIMIT_DATA)[0],
        "address_space": resource.getrlimit(resource.RLIMIT_AS)[0],
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
    }
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["".join(f"{name}={value}\n" for name, value in facts.items()).encode()]


atexit.register(lambda: print("atexit was called", file=sys.stderr))
