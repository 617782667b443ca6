"""Searches the memory of its own process. /search?4octets:sha256of32,… tells whether such thirty-two octets are anywhere in it."""

import ctypes
import hashlib
import os

libc = ctypes.CDLL(None, use_errno=True)


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def read(address, length):
    """Octets of our own memory; fewer, or none, where a page is gone. Unlike /proc/self/mem it needs no right to the file."""
    buffer = ctypes.create_string_buffer(length)
    local, remote = Piece(ctypes.addressof(buffer), length), Piece(address, length)
    count = libc.process_vm_readv(os.getpid(), ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    return buffer.raw[: max(count, 0)]


def search(wanted):
    seen = 0
    with open("/proc/self/maps") as maps:
        areas = [line.split()[:2] for line in maps]
    for addresses, rights in areas:
        if not rights.startswith("rw"):
            continue
        start, end = (int(text, 16) for text in addresses.split("-"))
        step = 1 << 22
        for address in range(start, end, step):
            block = read(address, min(step + 32, end - address))
            seen += len(block)
            for first, digest in wanted:
                at = block.find(first)
                while at >= 0:
                    if hashlib.sha256(block[at : at + 32]).hexdigest() == digest:
                        return f"found at {address + at:x}"
                    at = block.find(first, at + 1)
    return f"nothing in {seen} octets" if seen > 1 << 20 else f"only {seen} octets could be read"


def application(environ, start_response):
    if environ["PATH_INFO"] == "/search":
        pairs = [pair.split(":") for pair in environ["QUERY_STRING"].split(",")]
        answer = search([(bytes.fromhex(first), digest) for first, digest in pairs])
    else:
        answer = environ["wsgi.url_scheme"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
