"""Answers of 2 MiB, more than sockets keep, made in each way there is; what has been done with them; and bodies that are read."""

import atexit
import tempfile
import time

CONTENT = b"".join(b"%015d\n" % number for number in range(2 << 16))
BLOCK = 64 * 1024
file = tempfile.NamedTemporaryFile()
# Whoever leaves it open to the end of Python is told so in the log.
atexit.register(file.close)
file.write(CONTENT)
file.flush()
ended = []


class Blocks:
    """The content in blocks; notes that it was closed."""

    def __iter__(self):
        return (CONTENT[start:start + BLOCK] for start in range(0, len(CONTENT), BLOCK))

    def close(self):
        ended.append("/blocks")


class Block(Blocks):
    """The content as one block."""

    def __iter__(self):
        return iter([CONTENT])

    def close(self):
        ended.append("/block")


class File:
    """The content in a file; notes that it was closed."""

    def __init__(self):
        self.file = open(file.name, "rb")
        self.read, self.fileno, self.tell, self.seek = self.file.read, self.file.fileno, self.file.tell, self.file.seek

    def close(self):
        self.file.close()
        ended.append("/file")


def application(environ, start_response):
    path = environ["PATH_INFO"]
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/block":
        return Block()
    if path == "/blocks":
        return Blocks()
    if path == "/file":
        return environ["wsgi.file_wrapper"](File())
    if path == "/write":
        try:
            write(CONTENT)
        finally:
            ended.append(path)
        return []
    if path == "/upload":
        return [b"%d octets" % len(environ["wsgi.input"].read())]
    if path == "/sip":
        length = 0
        while block := environ["wsgi.input"].read(BLOCK):
            length += len(block)
            time.sleep(0.008)
        return [b"%d octets" % length]
    return [" ".join(sorted(ended)).encode()]
