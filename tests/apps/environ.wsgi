"""Shows its environ, a line per key: name, type, value as Python writes them."""


def application(environ, start_response):
    lines = [f"{key}\t{type(value).__name__}\t{value!r}\n" for key, value in sorted(environ.items())]
    body = "".join(lines).encode("ascii", "backslashreplace")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
