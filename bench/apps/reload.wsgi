"""Tells when its import began and how long it took, which is as long as the file `import-seconds` beside it says."""

import os
import time

BEGAN = time.monotonic()
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "import-seconds")) as file:
    seconds = float(file.read())
# An import computes; that it competes for the processors belongs to what is measured.
until = time.thread_time() + seconds
while time.thread_time() < until:
    sum(range(1000))
BODY = f"{BEGAN} {time.monotonic() - BEGAN}".encode()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]
