"""Reads a long body in the way that QUERY_STRING names, and answers with what it got."""


def application(environ, start_response):
    body = environ["wsgi.input"]
    match environ["QUERY_STRING"]:
        case "all":
            read = [body.read()]
        case "parts":
            read = [body.read(7), body.readline(), body.read(200_000), body.read(-1)]
        case "more":
            read = [body.read(10_000_000)]
    assert body.read() == b"" and body.read(100_000) == b""
    assert all(type(part) is bytes for part in read)
    start_response("200 OK", [("X-Parts", " ".join(str(len(part)) for part in read))])
    return read
