"""Shows httpd's record of the request, if it is passed."""


def application(environ, start_response):
    body = f"{environ.get('apache.request_rec')!r}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
