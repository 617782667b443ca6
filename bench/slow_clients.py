"""Slow clients and large bodies in daemon mode: who waits for whom, and what is kept in memory.

Prints the latency of small requests without and with 500 clients that read 1 KiB/s of 300 KiB each, and of 4 MiB each, which no socket
keeps; what a worker and httpd grow by while 5 GiB are uploaded; and what they grow by while 50 clients read a file of 4 GiB slowly.
Ends with 1 if slow readers delay small requests by more than half in the median round.
"""

import argparse
import multiprocessing
import os
import socket
import statistics
import sys
import threading
import time

from servers import Server

CONFIG = """
Timeout 600
LimitRequestBody 0
WSGIScriptAlias / ${ROOT}/slow.wsgi
WSGIDaemonProcess slow processes=1 threads=5
WSGIProcessGroup slow
"""

APPLICATION = '''
import os
import threading

def status(key):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(key))

def application(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if path == "/upload":
        before, length, most = int(status("VmRSS")), 0, 0
        while block := environ["wsgi.input"].read(65536):
            length += len(block)
            if length % (1 << 26) < 65536:
                most = max(most, int(status("VmRSS")))
        return [b"%d octets, the worker grew by at most %d KiB" % (length, max(0, most - before))]
    if path == "/file":
        return environ["wsgi.file_wrapper"](open(os.path.dirname(__file__) + "/large", "rb"))
    if path == "/300k":
        return [b"x" * 300 * 1024]
    if path == "/4m":
        return (b"x" * 65536 for _ in range(64))
    return [b"hello"]
'''


class Slow(Server):
    """One with the application above."""

    def __init__(self, module):
        super().__init__(module, CONFIG, {"slow.wsgi": APPLICATION.encode(), "large": b""})
        # Sparse: it takes no room on the disk.
        os.truncate(f"{self.root}/large", 4 << 30)


def latencies(port, seconds, connections=2):
    """Times of small requests over kept connections, in milliseconds."""
    found, end = [], time.monotonic() + seconds

    def ask():
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.monotonic() < end:
                start = time.monotonic()
                client.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
                said = b""
                while b"hello" not in said:
                    try:
                        block = client.recv(4096)
                    except TimeoutError:
                        block = b""
                    if not block:
                        found.append(float("inf"))
                        return
                    said += block
                found.append((time.monotonic() - start) * 1000)
                # Far below what the machine can do: how long one waits is the question.
                time.sleep(0.005)

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class Readers:
    """Clients that read 1 KiB each second, in a process of their own: they shall not wait for whoever measures, nor he for them."""

    def __init__(self, port, path, number):
        self.pipe, pipe = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.run, args=(pipe, port, path, number), daemon=True)
        self.process.start()
        # Until each has got something, or will not: what one waits for is then the reading alone.
        self.served = self.pipe.recv()

    @staticmethod
    def run(pipe, port, path, number):
        clients, served, read, end = [], set(), 0, time.monotonic() + 15
        for _ in range(number):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            client.setblocking(False)
            clients.append(client)
        told = False
        while not pipe.poll():
            # Spread over the second, some at a time: the clock of this process is not to be what loads the machine.
            for place in range(0, number, 10):
                began = time.monotonic()
                for client in clients[place:place + 10]:
                    try:
                        if count := len(client.recv(1024)):
                            read += count
                            served.add(client)
                    except OSError:
                        pass
                time.sleep(max(0, 10 / number - (time.monotonic() - began)))
            if not told and (len(served) == number or time.monotonic() > end):
                pipe.send(len(served))
                told = True
        for client in clients:
            client.close()
        pipe.send(read)

    def stop(self):
        """Hangs up; returns how much has been read."""
        self.pipe.send(None)
        read = self.pipe.recv()
        self.process.join()
        return read


def p99(times):
    """What all but one in a hundred stay below; infinite if no answer came."""
    return sorted(times)[len(times) * 99 // 100]


def slow_readers(server, path, seconds, rounds):
    """How many times longer small requests take beside slow readers: the median of some rounds."""
    latencies(server.port, 2)
    ratios = []
    for _ in range(rounds):
        alone = latencies(server.port, seconds)
        before = server.memory()
        readers = Readers(server.port, path, 500)
        time.sleep(1)
        grown = server.memory() - before
        began = server.processor_time()
        beside = latencies(server.port, seconds)
        used = (server.processor_time() - began) / seconds
        read = readers.stop()
        time.sleep(2)
        ratios.append(p99(beside) / p99(alone))
        print(f"500 slow readers of {path} ({readers.served} of them served, {read >> 10} KiB read; {grown >> 20} MiB more PSS, "
              f"{used * 100:.0f} % of a processor): p99 alone {p99(alone):.2f} ms, beside them {p99(beside):.2f} ms: {ratios[-1]:.2f} times; "
              f"median {statistics.median(alone):.2f}, {statistics.median(beside):.2f} ms", flush=True)
    return statistics.median(ratios)


def upload(server, length):
    block = b"u" * (1 << 20)
    with socket.create_connection(("127.0.0.1", server.port), 600) as client:
        client.sendall(f"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n".encode())
        start, before, most = time.monotonic(), server.memory(), 0
        for number in range(length >> 20):
            client.sendall(block)
            if number % 256 == 0:
                most = max(most, server.memory())
        said = b""
        while data := client.recv(65536):
            said += data
    text = said.rpartition(b"\r\n\r\n")[2].decode().splitlines()
    print(f"upload of {length >> 30} GiB in {time.monotonic() - start:.0f} s: {' '.join(text)}; "
          f"all processes (PSS) by at most {max(0, most - before) >> 10} KiB", flush=True)


def large_file(server, seconds):
    before = server.memory()
    readers = Readers(server.port, "/file", 50)
    most = 0
    for _ in range(seconds):
        time.sleep(1)
        most = max(most, server.memory())
    beside = latencies(server.port, 3)
    print(f"50 slow readers of a file of 4 GiB ({readers.served} of them served, {readers.stop() >> 10} KiB read): all processes (PSS) grew by "
          f"at most {max(0, most - before) >> 10} KiB; five Python threads answer small requests meanwhile, p99 {p99(beside):.2f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", help="mod_wsgi.so, or mod_wsgi's module")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of slow readers")
    parser.add_argument("--upload", type=int, default=5, help="GiB")
    parser.add_argument("--only", choices=("300k", "4m", "upload", "file"), help="one of the measurements")
    arguments = parser.parse_args()
    server = Slow(os.path.abspath(arguments.module))
    worst = 0
    try:
        server.wait()
        for name in ("300k", "4m"):
            if arguments.only in (None, name):
                worst = max(worst, slow_readers(server, f"/{name}", arguments.seconds, arguments.rounds))
        if arguments.only in (None, "upload"):
            upload(server, arguments.upload << 30)
        if arguments.only in (None, "file"):
            large_file(server, arguments.seconds)
    finally:
        server.stop()
    sys.exit(worst > 1.5)


if __name__ == "__main__":
    main()
