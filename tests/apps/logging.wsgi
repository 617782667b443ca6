"""Writes to the log in every way there is."""

import logging
import sys
import threading
import warnings

print("said at import")
kept = []


def wrong(environ, octets):
    """Writes what is neither octets nor text."""
    try:
        environ["wsgi.errors"].buffer.write(octets)
        return "accepted"
    except TypeError as error:
        return str(error).rpartition(" ")[2]


def write_text(environ):
    """Writes text where octets belong, with warnings as errors."""
    said, lines = "no warning", 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for stream in [environ["wsgi.errors"], sys.stderr, sys.stdout] * 2:
            try:
                stream.buffer.write("text in a buffer\n")
                lines += 1
            except DeprecationWarning:
                said = "DeprecationWarning"
    return "%s and %d lines" % (said, lines)


def application(environ, start_response):
    errors = environ["wsgi.errors"]
    name = environ["PATH_INFO"].strip("/")
    answer = "done"
    if name == "errors":
        errors.write("one line\n")
        errors.write("half ")
        errors.write("and half\n")
        errors.writelines(["listed 1\n", "listed 2\n"])
        print("printed to errors", file=errors)
        errors.write("caf\xe9 \u20ac\n")
        errors.write("unfinished")
    elif name == "flush":
        errors.write("flushed")
        errors.flush()
        errors.write(" and more\n")
    elif name == "print":
        print("printed")
        print("to stderr", file=sys.stderr)
        sys.stdout.write("half of stdout ")
        sys.stderr.write("half of stderr\n")
    elif name == "warning":
        warnings.warn("a warning")
    elif name == "logging":
        logging.getLogger("app").warning("through logging")
    elif name == "thread":
        thread = threading.Thread(target=lambda: print("from a thread"))
        thread.start()
        thread.join()
    elif name == "surrogate":
        errors.write("bad \udc80 end\n")
    elif name == "odd":
        errors.write("odd null \0behind\n")
        errors.buffer.write(b"odd octets \xff\n")
        errors.close()
        print("odd after closing")
    elif name == "forge":
        errors.write("innocent\r[Sun Nov 01 00:00:00 2026] [core:emerg] forged\n")
    elif name == "keep":
        kept.append(errors)
    elif name == "late":
        try:
            kept[-1].write("late\n")
            answer = "accepted"
        except RuntimeError as error:
            answer = str(error)
    elif name == "wrong":
        answer = " ".join(wrong(environ, octets) for octets in (5, None, [104, 105], {}, 1.5))
    elif name == "deprecated":
        answer = write_text(environ)
    elif name == "attributes":
        answer = f"{errors.encoding} {errors.errors} {errors.name} {errors.isatty()} {errors.line_buffering}"
    body = answer.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
