"""Reads its input as the path says and shows what each call gave."""

kept = []


def shown(call):
    try:
        return repr(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def digest(data):
    import hashlib

    return len(data), hashlib.md5(data).hexdigest()


STEPS = {
    "all": lambda body: [body.read],
    "minus": lambda body: [lambda: body.read(-1)],
    "parts": lambda body: [lambda: body.read(2), lambda: body.read(0), lambda: body.read(3), body.read, body.read, lambda: body.read(1)],
    "line": lambda body: [body.readline, lambda: body.readline(2), body.readline, body.readline, body.readline],
    "lines": lambda body: [body.readlines, body.readlines],
    "hint": lambda body: [lambda: body.readlines(3), lambda: body.readlines()],
    "iterate": lambda body: [lambda: list(body), body.read],
    "mixed": lambda body: [body.readline, lambda: body.read(2), body.readline, lambda: next(iter(body)), body.read],
    "close": lambda body: [body.close, body.read],
    "none": lambda body: [lambda: body.read(None), lambda: body.readline("x")],
    "digest": lambda body: [lambda: digest(body.read())],
    "digest-by-blocks": lambda body: [lambda: digest(b"".join(iter(lambda: body.read(10000), b"")))],
    "ignore": lambda body: [],
    "keep": lambda body: kept.append(body) or [],
    "later": lambda body: [kept[-1].read, kept[-1].readline, kept[-1].readlines, lambda: list(kept[-1]), kept[-1].close],
}


def application(environ, start_response):
    steps = STEPS[environ["PATH_INFO"].strip("/")]
    body = "".join(shown(call) + "\n" for call in steps(environ["wsgi.input"])).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
