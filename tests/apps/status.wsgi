"""Answers with the status that the path names."""


def application(environ, start_response):
    start_response(environ["PATH_INFO"].lstrip("/"), [("Content-Type", "text/plain")])
    return [b"the application's own page\n"]
