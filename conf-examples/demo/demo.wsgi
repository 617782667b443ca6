"""The demonstration: a page that shows where and on what it runs, and a form that echoes what it is sent."""

import html
import os
import sys
import threading
from urllib.parse import parse_qs

started = threading.Lock()
requests = 0

PAGE = """<!doctype html>
<html lang="en">
<head><title>{title}</title><link rel="stylesheet" href="/static/style.css"></head>
<body>
<h1>{title}</h1>
<p>{greeting}</p>
<table>{rows}</table>
<form method="post"><label>Your name: <input name="name"></label> <button>Send</button></form>
<p><a href="/">The other pages</a></p>
</body>
</html>
"""


def application(environ, start_response):
    global requests
    with started:
        requests += 1
    group = environ["mod_wsgi.process_group"]
    title = "Daemon mode" if group else "Embedded mode"
    greeting = "Hello!"
    if environ["REQUEST_METHOD"] == "POST":
        form = parse_qs(environ["wsgi.input"].read().decode("utf-8", "replace"))
        greeting = f"Hello, {html.escape(form.get('name', ['stranger'])[0])}!"
    facts = {
        "process": os.getpid(),
        "process group": group or "none: this is a process of httpd's",
        "application group": environ["mod_wsgi.application_group"] or "the main interpreter",
        "Python": sys.version.split()[0] + " in " + sys.prefix,
        "requests of this process": requests,
    }
    rows = "".join(f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>" for name, value in facts.items())
    body = PAGE.format(title=title, greeting=greeting, rows=rows).encode()
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
