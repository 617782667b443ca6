"""Answers with headers of several kinds."""


def application(environ, start_response):
    headers = [
        ("Content-Type", "text/html; charset=UTF-8"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2; HttpOnly"),
        ("X-Twice", "one"),
        ("X-Twice", "two"),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
        ("Location", "http://elsewhere.example/"),
    ]
    start_response("200 OK", headers)
    return [b"headers\n"]
