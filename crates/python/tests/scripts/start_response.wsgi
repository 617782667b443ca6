"""Calls start_response wrongly in every way that is refused."""
import sys

CASES = [
    ((1, []), TypeError, "must be str, not int"),
    (("200 OK", ()), TypeError, "start_response() argument 2 must be list, not tuple"),
    (("200 OK",), TypeError, "start_response() takes at least 2 arguments (1 given)"),
    (("200 OK", [], 5), RuntimeError, "start_response() argument 'exc_info' must be a 3-tuple or None"),
    (("2x", []), ValueError, "status code must be a 3 digit integer: b'2x'"),
    (("2000", []), ValueError, "status code must be a 3 digit integer: b'2000'"),
    (("200X", []), ValueError, "no space following status code: b'200X'"),
    (("200 a\x01", []), ValueError, "control character in status reason phrase: b'200 a\\x01'"),
    (("200 a\0", []), ValueError, "control character in status reason phrase: b'200 a\\x00'"),
    (("200 OK", [1]), TypeError, "each header must be a 2-tuple, not int"),
    (("200 OK", [(1,)]), ValueError, "each header must be a 2-tuple, got length 1"),
    (("200 OK", [(1, "a")]), TypeError, "must be str, not int"),
    (("200 OK", [("a", b"a")]), TypeError, "must be str, not bytes"),
    (("200 OK", [("", "a")]), ValueError, "header name is empty"),
    (("200 OK", [("a b", "a")]), ValueError, "space character in header name: b'a b'"),
    (("200 OK", [("a\0", "a")]), ValueError, "control character in header name: b'a\\x00'"),
    (("200 OK", [("a:", "a")]), ValueError, "invalid character in header name: b'a:'"),
    (("200 OK", [("a", "a\r\nb")]), ValueError, "carriage return/line feed character in header value: b'a\\r\\nb'"),
    (("200 OK", [("a", "a\0")]), ValueError, "null character in header value: b'a\\x00'"),
    (("200 \u20ac", []), UnicodeEncodeError, None),
    (("200 OK", [("a", "\u20ac")]), UnicodeEncodeError, None),
]


def application(environ, start_response):
    for arguments, kind, text in CASES:
        try:
            start_response(*arguments)
        except Exception as error:
            assert type(error) is kind, (arguments, error)
            assert text is None or str(error) == text, (arguments, str(error))
        else:
            raise AssertionError(f"accepted {arguments}")
    start_response("404 Not Found", [])
    try:
        start_response("200 OK", [])
    except RuntimeError as error:
        assert str(error) == "start_response() called more than once without exc_info"
    else:
        raise AssertionError("a second call was accepted")
    try:
        raise KeyError("replaced")
    except KeyError:
        write = start_response("201 Created", [("X-Value", "caf\xe9")], sys.exc_info())
    try:
        write(bytearray(b"x"))
    except TypeError as error:
        assert str(error) == "write() argument must be bytes, not bytearray"
    write(b"ok")
    try:
        raise KeyError("too late")
    except KeyError:
        information = sys.exc_info()
    try:
        start_response("500 Oh", [], information)
    except KeyError as error:
        assert error is information[1]
    else:
        raise AssertionError("exc_info was not raised again")
    return []
