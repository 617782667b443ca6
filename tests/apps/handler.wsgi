"""A handler script: shows which resource it was asked for."""


def handle_request(environ, start_response):
    names = ("SCRIPT_NAME", "PATH_INFO", "SCRIPT_FILENAME", "mod_wsgi.handler_script", "mod_wsgi.request_handler", "REQUEST_URI")
    body = "".join(f"{name}={environ[name]}\n" for name in names).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
