"""Reads the body that the driver sends: five lines, then filling, 100000 octets in all, in pieces of odd sizes."""


def application(environ, start_response):
    body = environ["wsgi.input"]
    assert body.read(0) == b""
    assert body.read(3) == b"lin"
    assert body.readline() == b"e 0\n"
    assert body.readline(4) == b"line"
    assert body.readline(100) == b" 1\n"
    assert body.readlines(5) == [b"line 2\n"]
    assert next(body) == b"line 3\n"
    assert body.readlines(8) == [b"line 4\n", b"x" * (100000 - 35)]
    assert body.read() == b"" and body.read(5) == b"" and body.readline() == b"" and list(body) == []
    for argument in ("a", None):
        try:
            body.read(argument)
        except TypeError:
            pass
        else:
            raise AssertionError(argument)
    body.close()
    start_response("200 OK", [])
    return [b"ok"]
