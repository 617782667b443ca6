"""Tells which Python it runs on, and which packages are installed there."""

import sys
from importlib.metadata import distributions


def application(environ, start_response):
    lines = ["Python %d.%d in %s" % (*sys.version_info[:2], sys.prefix)]
    lines += sorted({f"{found.metadata['Name']} {found.version}" for found in distributions()})
    body = ("\n".join(lines) + "\n").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
