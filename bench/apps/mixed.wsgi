"""The workloads of the comparison, by path: what an application does besides saying hello."""

import json
import os
import time

BLOCK = b"x" * 16384
BODY = b"y" * 65536
ITEMS = [{"id": number, "name": f"item {number}", "text": 7 * "a few words of an article, "} for number in range(4)]
FILES = os.path.dirname(os.path.abspath(__file__))


def plain(start_response, length):
    headers = [("Content-Type", "application/octet-stream")]
    if length is not None:
        headers.append(("Content-Length", str(length)))
    start_response("200 OK", headers)


def json_answer(environ, start_response):
    body = json.dumps(ITEMS).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def body(environ, start_response):
    plain(start_response, len(BODY))
    return [BODY]


def generated(environ, start_response):
    plain(start_response, 64 * len(BLOCK))
    return (BLOCK for _ in range(64))


def streamed(environ, start_response):
    plain(start_response, None)
    return (b"a small block\n" for _ in range(1000))


def file_answer(environ, start_response):
    plain(start_response, None)
    return environ["wsgi.file_wrapper"](open(os.path.join(FILES, environ["QUERY_STRING"]), "rb"))


def post(environ, start_response):
    length = len(environ["wsgi.input"].read())
    answer = str(length).encode()
    plain(start_response, len(answer))
    return [answer]


def busy(environ, start_response):
    until = time.thread_time() + 0.002
    while time.thread_time() < until:
        sum(range(100))
    plain(start_response, 2)
    return [b"ok"]


def sleep(environ, start_response):
    time.sleep(0.02)
    plain(start_response, 2)
    return [b"ok"]


PATHS = {
    "/json": json_answer,
    "/body": body,
    "/generated": generated,
    "/streamed": streamed,
    "/file": file_answer,
    "/post": post,
    "/busy": busy,
    "/sleep": sleep,
}


def application(environ, start_response):
    return PATHS[environ["PATH_INFO"]](environ, start_response)
