"""Tells in which mode it runs: an embedded application has no process group."""


def application(environ, start_response):
    mode = "DAEMON MODE" if environ["mod_wsgi.process_group"] else "EMBEDDED MODE"
    body = f"{mode}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
