"""Counts its requests in a global variable, and so shows what shares its globals with what."""

import itertools

requests = itertools.count(1)


def application(environ, start_response):
    body = f"{environ['HTTP_HOST']}: request {next(requests)}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
