"""Shows what it was given, or runs the code of the header X-Code: the differential suite asks both modules through it."""

import hashlib
import io
import os
import sys
import tempfile
from urllib.parse import unquote

# What is another at each request, or in each process: only the type is compared.
VOLATILE = {
    "REMOTE_PORT", "SERVER_SOFTWARE", "UNIQUE_ID", "mod_wsgi.server_pid", "mod_wsgi.thread_id", "mod_wsgi.request_id",
    "SSL_SESSION_ID", "H2_STREAM_TAG",
    "mod_wsgi.connection_id", "mod_wsgi.request_start", "mod_wsgi.queue_start", "mod_wsgi.daemon_start", "mod_wsgi.application_start",
}


def application(environ, start_response):
    code = environ.get("HTTP_X_CODE")
    # httpd's own detour to an error page or another URL is shown, not run again.
    if code is None or "REDIRECT_URL" in environ:
        return show(environ, start_response)
    names = {"environ": environ, "start_response": start_response, "attempt": attempt, "regular": regular, "io": io, "os": os, "sys": sys}
    names["closing"] = Closing
    exec(unquote(code), names)
    return names["result"]


def show(environ, start_response):
    lines = [line(key, value) for key, value in sorted(environ.items())]
    lines.append("body " + attempt(lambda: digest(environ["wsgi.input"].read())))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["\n".join(lines).encode("ascii", "backslashreplace")]


def line(key, value):
    shown = "..." if key.replace("REDIRECT_", "") in VOLATILE or type(value).__module__ != "builtins" or callable(value) else ascii(value)
    return "%s %s %s" % (ascii(key)[1:-1], type(value).__name__, shown)


def digest(data):
    return "%d %s %s" % (len(data), ascii(data[:60]), hashlib.md5(data).hexdigest())


def attempt(call):
    """What a call gives or raises, as text."""
    try:
        return ascii(call())
    except BaseException as error:
        return "%s: %s" % (type(error).__name__, error)


def regular(data, offset=0):
    """A regular file, open at an offset."""
    file = tempfile.TemporaryFile()
    file.write(data)
    file.flush()
    file.seek(offset)
    return file


class Closing:
    """An iterable that says when it is closed."""

    def __init__(self, items):
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.items)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self):
        print("closed", file=sys.stderr)
