"""Meets a client that goes away in the middle of its body."""


def application(environ, start_response):
    body = environ["wsgi.input"]
    assert body.read(4) == b"some"
    for text in ("gone", "input is already in error state"):
        try:
            body.read()
        except OSError as error:
            assert str(error) == "mod_wsgi request data read error: " + text, str(error)
        else:
            raise AssertionError("no error")
    start_response("400 Bad Request", [])
    return [b"ok"]
