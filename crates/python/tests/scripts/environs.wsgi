"""Answers with what the client says in its environ, which is changed afterwards."""


def application(environ, start_response):
    start_response("200 OK", [])
    names = [name for name in environ if name.startswith(("HTTP_", "REPEATED")) or name in ("QUERY_STRING", "wsgi.url_scheme")]
    answer = " ".join(f"{name}={environ[name]}" for name in sorted(names))
    environ["HTTP_OF_ANOTHER"] = environ["QUERY_STRING"] = "leaked"
    del environ["wsgi.url_scheme"]
    return [answer.encode()]
