"""Slow clients and large bodies in daemon mode: who waits for whom, and what is kept in memory.

Prints the latency of small requests without and with 500 clients that read 1 KiB/s of 300 KiB each, what a worker grows by while
5 GiB are uploaded, and what httpd and its processes grow by while 50 clients read a file of 4 GiB slowly.
"""

import argparse
import os
import socket
import statistics
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


class Readers(threading.Thread):
    """Clients that read 1 KiB each second."""

    def __init__(self, port, path, number):
        super().__init__(daemon=True)
        self.ended, self.read, self.served, self.clients = False, 0, set(), []
        for _ in range(number):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            client.setblocking(False)
            self.clients.append(client)

    def run(self):
        while not self.ended:
            for client in self.clients:
                try:
                    count = len(client.recv(1024))
                    self.read += count
                    if count:
                        self.served.add(client)
                except BlockingIOError:
                    pass
                # Spread over the second.
                time.sleep(1 / len(self.clients))

    def stop(self):
        self.ended = True
        self.join()
        for client in self.clients:
            client.close()


def p99(times):
    """What all but one in a hundred stay below; infinite if no answer came."""
    return sorted(times)[len(times) * 99 // 100]


def slow_readers(server, seconds):
    latencies(server.port, 2)
    alone = latencies(server.port, seconds)
    readers = Readers(server.port, "/300k", 500)
    readers.start()
    time.sleep(3)
    beside = latencies(server.port, seconds)
    read, served = readers.read, len(readers.served)
    readers.stop()
    time.sleep(2)
    again = latencies(server.port, seconds)
    undisturbed = (p99(alone) + p99(again)) / 2
    print(f"500 slow readers ({served} of them served, {read >> 10} KiB read meanwhile): p99 alone {p99(alone):.2f} and {p99(again):.2f} ms, "
          f"beside them {p99(beside):.2f} ms: {p99(beside) / undisturbed:.2f} times; "
          f"median {statistics.median(alone):.2f}, {statistics.median(beside):.2f} ms", flush=True)


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
    readers.start()
    most = 0
    for _ in range(seconds):
        time.sleep(1)
        most = max(most, server.memory())
    beside = latencies(server.port, 3)
    print(f"50 slow readers of a file of 4 GiB ({readers.read >> 10} KiB read): all processes (PSS) grew by at most "
          f"{max(0, most - before) >> 10} KiB; five Python threads answer small requests meanwhile, p99 {p99(beside):.2f} ms", flush=True)
    readers.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", help="mod_wsgi.so, or mod_wsgi's module")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    parser.add_argument("--upload", type=int, default=5, help="GiB")
    arguments = parser.parse_args()
    server = Slow(os.path.abspath(arguments.module))
    try:
        server.wait()
        slow_readers(server, arguments.seconds)
        upload(server, arguments.upload << 30)
        large_file(server, arguments.seconds)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
