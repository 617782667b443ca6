"""Calls start_response as the path says and answers with the exception that it raised, or "accepted"."""

import sys

PLAIN = [("Content-Type", "text/plain")]


class Text(str):
    pass


class List(list):
    pass


CASES = {
    "fine": ("200 OK", PLAIN),
    "no-reason": ("200", PLAIN),
    "blank-reason": ("200 ", PLAIN),
    "none-exc-info": ("200 OK", PLAIN, None),
    "list-subclass": ("200 OK", List(PLAIN)),
    "no-arguments": (),
    "one-argument": ("200 OK",),
    "headers-tuple": ("200 OK", tuple(PLAIN)),
    "headers-none": ("200 OK", None),
    "exc-info-text": ("200 OK", PLAIN, "x"),
    "status-int": (200, PLAIN),
    "status-bytes": (b"200 OK", PLAIN),
    "status-unicode": ("200 \u20ac", PLAIN),
    "status-short": ("20 OK", PLAIN),
    "status-long": ("2000 OK", PLAIN),
    "status-word": ("abc OK", PLAIN),
    "status-no-space": ("200OK", PLAIN),
    "status-newline": ("200 O\nK", PLAIN),
    "header-list": ("200 OK", [["A", "b"]]),
    "header-single": ("200 OK", [("A",)]),
    "header-triple": ("200 OK", [("A", "b", "c")]),
    "name-int": ("200 OK", [(1, "b")]),
    "name-bytes": ("200 OK", [(b"A", "b")]),
    "name-unicode": ("200 OK", [("A\u20ac", "b")]),
    "name-empty": ("200 OK", [("", "b")]),
    "name-control": ("200 OK", [("A\x01", "b")]),
    "name-newline": ("200 OK", [("A\n", "b")]),
    "name-space": ("200 OK", [("A B", "b")]),
    "name-colon": ("200 OK", [("A:B", "b")]),
    "name-latin": ("200 OK", [("A\xe9", "b")]),
    "name-nul": ("200 OK", [("A\0", "b")]),
    "value-int": ("200 OK", [("A", 1)]),
    "value-none": ("200 OK", [("A", None)]),
    "value-bytes": ("200 OK", [("A", b"b")]),
    "value-unicode": ("200 OK", [("A", "\u20ac")]),
    "value-cr": ("200 OK", [("A", "b\rc")]),
    "value-lf": ("200 OK", [("A", "b\nSet-Cookie: evil")]),
    "value-nul": ("200 OK", [("A", "b\0c")]),
}


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    try:
        if name == "keywords":
            start_response(status="200 OK", headers=PLAIN)
        elif name == "twice":
            start_response("200 OK", PLAIN)
            start_response("202 Accepted", PLAIN)
        elif name == "twice-with-exc-info":
            start_response("200 OK", PLAIN)
            try:
                raise ValueError("first")
            except ValueError:
                start_response("503 Changed", PLAIN, sys.exc_info())
            return [b"accepted"]
        elif name == "after-write":
            start_response("200 OK", PLAIN)(b"written, ")
            start_response("202 Accepted", PLAIN)
        elif name == "after-write-with-exc-info":
            start_response("200 OK", PLAIN)(b"written, ")
            try:
                raise KeyError("original")
            except KeyError:
                start_response("500 Failed", PLAIN, sys.exc_info())
        else:
            start_response(*CASES[name])
        text = "accepted"
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        if not name.startswith("after-write"):
            start_response("200 OK", PLAIN, (None, None, None))
    return [text.encode("ascii", "backslashreplace")]
