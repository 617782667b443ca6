"""Chooses where to serve a request, as the query string says: name=value pairs, with the names of the three functions."""

from urllib.parse import parse_qs


class Odd:
    pass


def chosen(environ, name):
    if name == "process_group" and environ["QUERY_STRING"] == "environ":
        for key, value in sorted(environ.items()):
            print(f"KEY {key}={value!r}", file=environ["wsgi.errors"])
        environ["CHANGED"] = "1"
    value = parse_qs(environ["QUERY_STRING"], keep_blank_values=True).get(name, [None])[0]
    if value == "raise":
        raise RuntimeError("told to fail")
    return {"octets": b"main", "odd": Odd(), "wide": "\u20ac"}.get(value, value)


def process_group(environ):
    return chosen(environ, "process_group")


def application_group(environ):
    return chosen(environ, "application_group")


def callable_object(environ):
    return chosen(environ, "callable_object")
