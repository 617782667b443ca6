"""Sleeps for as many seconds as the query string says, then names its process and thread."""

import os
import time


def application(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0))
    body = f"{os.getpid()} {environ['mod_wsgi.thread_id']}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
