"""Server-sent events: a block, a pause that the query string tells in seconds, the next."""

import time


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    pause = float(environ["QUERY_STRING"])
    for number in range(4):
        yield b"data: %d\n\n" % number
        time.sleep(pause)
