"""An application between two sides that the standard library's validator watches."""

import sys
from wsgiref.validate import validator


class Strict:
    """The validator's own input refuses an unlimited read(), so that every call has a size."""

    def __init__(self, environ):
        self.input = environ["wsgi.input"]

    def body(self):
        blocks = []
        while block := self.input.read(1000):
            blocks.append(block)
        return b"".join(blocks)


def lines(environ):
    return b"|".join(environ["wsgi.input"].readlines())


def plain(environ, start_response):
    path = environ["PATH_INFO"]
    headers = [("Content-Type", "text/plain")]
    if path == "/body":
        answer = [Strict(environ).body()]
    elif path == "/lines":
        answer = [lines(environ)]
    elif path == "/write":
        start_response("200 OK", headers)(b"written ")
        return [b"and yielded"]
    elif path == "/stream":
        answer = (b"block %d " % number for number in range(3))
    elif path == "/none":
        start_response("204 No Content", [])
        return []
    elif path == "/failure":
        try:
            raise ValueError("a mistake")
        except ValueError:
            start_response("500 Mistake", headers, sys.exc_info())
        return [b"mended"]
    elif path == "/errors":
        environ["wsgi.errors"].write("said to the log\n")
        environ["wsgi.errors"].writelines(["one\n", "two\n"])
        environ["wsgi.errors"].flush()
        answer = [b"said"]
    else:
        answer = [b"Hello"]
    start_response("200 OK", headers)
    return answer


application = validator(plain)
