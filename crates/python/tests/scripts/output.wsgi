"""Answers in the way that QUERY_STRING names."""
import io
import sys

kept = {}


class Closing:
    def __init__(self, blocks):
        self.blocks = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.blocks)
        if isinstance(block, BaseException):
            raise block
        return block

    def close(self):
        print("close called")


def application(environ, start_response):
    how = environ["QUERY_STRING"]
    if how == "not-started":
        return [b"x"]
    if how == "late-start":
        def blocks():
            yield b""
            start_response("202 Accepted", [])
            yield b"late"
        return blocks()
    if how == "raise":
        raise ValueError("before the head")
    if how == "exit":
        sys.exit(3)
    if how == "chained":
        try:
            {}["cause"]
        except KeyError as error:
            raise ValueError("two\nlines") from error
    if how == "too-much":
        start_response("200 OK", [("Content-Length", "5")])
        return Closing([b"123", b"456", b"789"])
    if how == "too-little":
        start_response("200 OK", [("Content-Length", "5")])
        return [b"123"]
    if how == "bad-length":
        start_response("200 OK", [("Content-Length", "many")])
        return [b"123"]
    if how == "no-content":
        start_response("204 No Content", [])
        return [b"123"]
    write = start_response("200 OK", [("X-How", how)])
    if how == "list":
        return [b"a", b"", b"b"]
    if how == "generator":
        return (block for block in [b"a", b"", b"b"])
    if how == "closing":
        return Closing([b"a"])
    if how == "fails-late":
        return Closing([b"a", ZeroDivisionError("late")])
    if how == "text":
        return Closing(["text"])
    if how == "write":
        write(b"")
        write(b"written ")
        return [b"returned"]
    if how == "none":
        return None
    if how == "gone":
        try:
            write(b"x")
        except OSError as error:
            print("write raised", error)
        return Closing([b"y"])
    if how == "errors":
        errors = environ["wsgi.errors"]
        errors.write("part ")
        print("of a line", file=sys.stderr)
        errors.writelines(["one\n", "two"])
        errors.flush()
        print("snowman \u2603 \udc80")
        errors.buffer.write(b"octets\n")
        errors.write("unfinished")
        assert errors.name == "<wsgi.errors>" and errors.encoding == "utf-8" and errors.errors == "replace"
        assert not errors.isatty()
        assert isinstance(errors, io.TextIOWrapper) and isinstance(errors, io.TextIOBase) and type(errors).__name__ == "TextIOWrapper"
        assert repr(errors).startswith("<_io.TextIOWrapper name='<wsgi.errors>'") and "write" in dir(errors)
        errors.mark = 1
        assert errors.mark == 1
        del errors.mark
        assert not hasattr(errors, "mark")
        return [b"ok"]
    if how == "keep":
        kept.update(environ, start_response=start_response, write=write)
        return [b"kept"]
    if how == "use-kept":
        calls = [
            (lambda: kept["start_response"]("200 OK", []), "start_response() called after request completed"),
            (lambda: kept["write"](b"x"), "write() called after request completed"),
            (lambda: kept["wsgi.input"].read(), "read() called on wsgi.input after request completed"),
            (lambda: kept["wsgi.input"].readline(), "readline() called on wsgi.input after request completed"),
            (lambda: kept["wsgi.input"].readlines(), "readlines() called on wsgi.input after request completed"),
            (lambda: kept["wsgi.input"].close(), "close() called on wsgi.input after request completed"),
            (lambda: next(kept["wsgi.input"]), "iteration of wsgi.input attempted after request completed"),
            (lambda: kept["wsgi.errors"].write("x"), "write() called on wsgi.errors after request completed"),
        ]
        for call, text in calls:
            try:
                call()
            except RuntimeError as error:
                assert str(error) == text, str(error)
            else:
                raise AssertionError(text)
        return [b"ok"]
    raise AssertionError(how)
