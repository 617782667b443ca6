#!/usr/bin/python3
"""A process of a daemon group that means harm: in place of the interpreter, it speaks the wire itself, and says what it is asked to.

`?do=NAME.NUMBER` chooses. Control messages and frames are those of crates/wire.
"""

import mmap
import os
import random
import re
import signal
import socket
import struct
import threading
import time

CONTROL, LISTENER, COUNTERS = 3, 4, 5
VERSION = 5
BEGAN, READ_BODY, HEAD, BODY, FLUSH, FILE, LOG, END, CLOSING = 16, 17, 18, 19, 20, 21, 22, 23, 25
ABORTED, TIMES, SCOREBOARD, LOG_AT = 24, 26, 27, 28
READY, DRAINED = 0, 5
OK = b"\xc8\x01\x06200 OK\x00"


def frame(kind, request, payload=b"", length=None):
    return struct.pack("<IBBHQ", len(payload) if length is None else length, kind, VERSION, 0, request) + payload


def whole(request):
    """A right answer."""
    pid = struct.pack("<I", os.getpid())
    return frame(BEGAN, request, pid) + frame(HEAD, request, OK) + frame(BODY, request, b"right") + frame(END, request)


def range_of(offset, length):
    return struct.pack("<QQ", offset, length)


def flood(name, request):
    """What brings the client nothing, again and again."""
    one = {
        "logs": frame(LOG, request, b"\4a line of the log"),
        "lines_of_files": frame(LOG_AT, request, struct.pack("<IH", 1, 4) + b"a.py" + b"\4a line of the log"),
        "times": frame(TIMES, request, bytes(12)),
        "flushes": frame(FLUSH, request),
        "empty_blocks": frame(BODY, request),
    }[name]
    return one * 1000


def mutated(request, seed):
    """Right frames in some order, of which some octets are wrong; and how many descriptors go beside them."""
    chance = random.Random(seed)
    right = [
        frame(BEGAN, request, struct.pack("<I", os.getpid())),
        frame(HEAD, request, OK),
        frame(HEAD, request, OK[:-1] + b"\x01\x01X\x01y"),
        frame(BODY, request, b"right"),
        frame(BODY, request),
        frame(FLUSH, request),
        frame(FILE, request, range_of(0, 10)),
        frame(LOG, request, b"\4a line"),
        frame(LOG_AT, request, struct.pack("<IH", 1, 4) + b"a.py" + b"\4a line"),
        frame(TIMES, request, bytes(12)),
        frame(SCOREBOARD, request),
        frame(READ_BODY, request),
        frame(CLOSING, request),
        frame(ABORTED, request, bytes([chance.randrange(6)])),
        frame(END, request, b"\1"),
    ]
    if chance.random() < 0.5:
        frames = right[:2] + chance.choices(right, k=4) + right[-1:]
    else:
        frames = chance.choices(right, k=chance.randrange(1, 12))
    octets = bytearray(b"".join(frames))
    for _ in range(chance.choice([0, 1, 1, 2, 5, 50])):
        octets[chance.randrange(len(octets))] = chance.choice([0, 1, 2, 127, 128, 255, chance.randrange(256)])
    return bytes(octets[: chance.choice([None, chance.randrange(len(octets) + 1)])]), chance.choice([0, 0, 1, 3])


def scribble(octet):
    """Writes over all that the counters say, but for the mark, the sizes and the pids."""
    with mmap.mmap(COUNTERS, 0) as memory:
        for word in range(8 + 64 * 4, len(memory) // 8):
            memory[word * 8 : word * 8 + 8] = bytes([octet]) * 8


def answer(connection, request, name, number):
    send = connection.sendall
    head = frame(BEGAN, request, struct.pack("<I", os.getpid())) + frame(HEAD, request, OK)
    if name == "right":
        send(whole(request))
    elif name == "garbage":
        send(os.urandom(number))
    elif name == "cut":
        send(whole(request)[:number])
    elif name == "oversized":
        send(frame(HEAD, request, b"", 0xFFFFFFFF) + bytes(100_000))
    elif name == "zeros":
        send(frame(HEAD, request, bytes(16 << 20)))
    elif name == "began":
        while True:
            send(frame(BEGAN, request, b"\1\0\0\0") * 1000)
    elif name == "read_body":
        while True:
            send(frame(READ_BODY, request) * 1000)
    elif name == "heads":
        send(head + frame(HEAD, request, OK))
    elif name == "foreign":
        send(frame(HEAD, request + 1, OK))
    elif name == "endless":
        send(head)
        while True:
            send(frame(BODY, request, bytes(60_000)))
    elif name == "descriptors":
        # As many as fit, with each octet of a head that does not end.
        send(frame(HEAD, request, b"", 16 << 20))
        with open("/dev/zero", "rb") as zero:
            for _ in range(number):
                socket.send_fds(connection, [b"\0"], [zero.fileno()] * 12)
    elif name == "no_file":
        send(head + frame(FILE, request, range_of(0, 10)))
    elif name == "device":
        with open("/dev/zero", "rb") as zero:
            socket.send_fds(connection, [head + frame(FILE, request, range_of(0, 1 << 40))], [zero.fileno()])
    elif name == "overflow":
        with open("/etc/passwd", "rb") as file:
            socket.send_fds(connection, [head + frame(FILE, request, range_of((1 << 64) - 1, 2))], [file.fileno()])
    elif name == "behind":
        # More than an answer on a connection that is said to be kept.
        send(frame(HEAD, request, OK) + frame(BODY, request, b"right") + frame(END, request, b"\1") + whole(request + 1))
    elif name == "crlf":
        value = b"a\r\nSet-Cookie: planted=1"
        send(frame(HEAD, request, OK[:-1] + b"\x01\x01X" + bytes([len(value)]) + value) + frame(END, request))
    elif name == "interim":
        send(frame(HEAD, request, b"\x64\x0c100 Continue\x00") + frame(END, request))
    elif name == "scribble":
        scribble(number)
        send(whole(request))
    elif name == "control":
        # What is no message, to the supervisor.
        os.write(CONTROL, [b"\xff" * 100, b"\x01\x63", bytes(200_000), b"\x01"][number])
        send(whole(request))
    elif name == "silent":
        time.sleep(60)
    elif name in ("logs", "lines_of_files"):
        while True:
            send(flood(name, request))
    elif name in ("times", "flushes", "empty_blocks"):
        send(head)
        while True:
            send(flood(name, request))
    elif name == "mutated":
        octets, descriptors = mutated(request, number)
        with open("/etc/passwd", "rb") as file:
            socket.send_fds(connection, [octets or b"\0"], [file.fileno()] * descriptors)
    elif name == "killed":
        send(whole(request)[:number])
        os.kill(os.getpid(), signal.SIGKILL)
    connection.close()


def serve(connection):
    try:
        octets = b""
        while not (found := re.search(rb"do=([a-z_]+)\.(\d+)", octets)):
            more = connection.recv(65536)
            if not more:
                return
            octets += more
        request = struct.unpack("<Q", octets[8:16])[0]
        answer(connection, request, found[1].decode(), int(found[2]))
    except OSError:
        pass


def accept():
    listener = socket.socket(fileno=LISTENER)
    listener.setblocking(True)
    while True:
        connection, _ = listener.accept()
        connection.setblocking(True)
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def main():
    control = socket.socket(fileno=CONTROL)
    control.setblocking(True)
    while message := control.recv(1 << 17):
        kind = message[1]
        if kind == 0:
            control.send(bytes([VERSION, READY]))
        elif kind == 1:
            threading.Thread(target=accept, daemon=True).start()
        elif kind in (2, 3):
            control.send(bytes([VERSION, DRAINED]))
            break
    os._exit(0)


main()
