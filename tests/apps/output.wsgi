"""Produces output as the path says. What happened to an iterable is told by the path /seen."""

import threading

seen = []
gate = threading.Event()
PLAIN = [("Content-Type", "text/plain")]


class Items:
    """Yields items and notes that it was closed."""

    def __init__(self, name, items):
        self.name = name
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.items)
        return item() if callable(item) else item

    def close(self):
        seen.append(f"{self.name} closed")


def fail():
    raise ValueError("deliberately")


def wait():
    gate.wait(10)
    gate.clear()
    return b"second"


def generator(environ, start_response):
    start_response("200 OK", PLAIN)
    yield b"one "
    yield b""
    yield b"two"


def lazy(environ, start_response):
    yield b""
    start_response("201 Lazy", PLAIN)
    yield b"lazy"


def write(environ, start_response):
    send = start_response("200 OK", PLAIN)
    send(b"written ")
    send(b"")
    send(b"twice ")
    return [b"and returned"]


def write_wrong(environ, start_response):
    send = start_response("200 OK", PLAIN)
    answers = []
    for wrong in ("text", bytearray(b"array"), None, 1):
        try:
            send(wrong)
        except TypeError as error:
            answers.append(str(error))
    return ["\n".join(answers).encode()]


def early_write_failure(environ, start_response):
    start_response("200 OK", PLAIN)(b"begun")
    raise ValueError("deliberately")


kept_write = []


def keep_write(environ, start_response):
    kept_write.append((start_response("200 OK", PLAIN), start_response))
    return [b"kept"]


def late_write(environ, start_response):
    send, start = kept_write[-1]
    answers = []
    for call in (lambda: send(b"late"), lambda: start("200 OK", PLAIN)):
        try:
            call()
        except RuntimeError as error:
            answers.append(str(error))
    start_response("200 OK", PLAIN)
    return ["\n".join(answers).encode()]


def simple(status, headers, body):
    def answer(environ, start_response):
        start_response(status, headers)
        return body() if callable(body) else body

    return answer


def sized(length, *items):
    return simple("200 OK", PLAIN + [("Content-Length", str(length))], lambda: Items("sized", items))


class BadClose(Items):
    def close(self):
        super().close()
        raise KeyError("while closing")


CASES = {
    "generator": generator,
    "lazy": lazy,
    "write": write,
    "write-wrong": write_wrong,
    "keep-write": keep_write,
    "late-write": late_write,
    "early-write-failure": early_write_failure,
    "list": simple("200 OK", PLAIN, [b"a", b"b", b"c"]),
    "tuple": simple("200 OK", PLAIN, (b"a", b"b")),
    "empty": simple("200 OK", PLAIN, []),
    "no-content": simple("204 No Content", [], [b"must not be sent"]),
    "not-modified": simple("304 Not Modified", [("ETag", '"x"')], []),
    "closed": simple("200 OK", PLAIN, lambda: Items("closed", [b"x", b"y"])),
    "stream": simple("200 OK", PLAIN, lambda: Items("stream", [b"first", wait, b"third"])),
    "endless": simple("200 OK", PLAIN, lambda: Items("endless", iter(lambda: b"x" * 65536, None))),
    "text-items": simple("200 OK", PLAIN, lambda: Items("text-items", ["text"])),
    "text": simple("200 OK", PLAIN, "text"),
    "bytes": simple("200 OK", PLAIN, b"bytes"),
    "none": simple("200 OK", PLAIN, lambda: None),
    "no-start": lambda environ, start_response: Items("no-start", [b"x"]),
    "no-start-empty": lambda environ, start_response: [],
    "call-fails": lambda environ, start_response: fail(),
    "first-item-fails": simple("200 OK", PLAIN, lambda: Items("first-item-fails", [fail])),
    "second-item-fails": simple("200 OK", PLAIN, lambda: Items("second-item-fails", [b"begun", fail])),
    "sized-item-fails": sized(100, b"begun", fail),
    "close-fails": simple("200 OK", PLAIN, lambda: BadClose("close-fails", [b"x"])),
    "exact": sized(6, b"abc", b"def"),
    "too-much": sized(4, b"abc", b"def", b"ghi"),
    "too-little": sized(100, b"abc"),
    "bad-length": simple("200 OK", PLAIN + [("Content-Length", "x")], [b"abc"]),
    "exit": lambda environ, start_response: exit(3),
    "large": simple("200 OK", PLAIN, lambda: (bytes([65 + number % 26]) * 100_000 for number in range(50))),
}


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    if name == "seen":
        start_response("200 OK", PLAIN)
        return [("\n".join(seen)).encode()]
    if name == "open":
        gate.set()
        start_response("200 OK", PLAIN)
        return [b"opened"]
    return CASES[name](environ, start_response)
