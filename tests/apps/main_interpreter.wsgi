"""Says whether it runs in the process's main interpreter, and whether that stays so in a new thread."""

import threading

try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters


def number(found):
    return int(found[0] if isinstance(found, tuple) else found)


def where():
    return "main" if number(interpreters.get_current()) == number(interpreters.get_main()) else "sub"


def application(environ, start_response):
    found = []
    thread = threading.Thread(target=lambda: found.append(where()))
    thread.start()
    thread.join()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{where()} {found[0] == where()}\n".encode()]
