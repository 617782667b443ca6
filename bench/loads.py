"""Loads on a server: what a client saw in a while. The client's own processor time is nobody's here."""

import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time

NAME = "bench_client"


def client(ours):
    """The client's executable: beside the modules, or where cargo has left it."""
    checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for folder in (ours, f"{os.environ.get('CARGO_TARGET_DIR', checkout + '/target')}/release", f"{checkout}/target/release"):
        if os.path.exists(f"{folder}/{NAME}"):
            return os.path.abspath(f"{folder}/{NAME}")
    sys.exit(f"{NAME} is missing: cargo build --release -p {NAME}")


class Client:
    """Starts loads with one executable."""

    def __init__(self, executable):
        self.executable = executable

    def command(self, port, path, connections, seconds, headers=(), body=0, rate=None):
        words = [self.executable, str(port), path, "--connections", str(connections), "--seconds", str(seconds)]
        for header in headers:
            words += ["--header", header]
        if body:
            words += ["--body", str(body)]
        if rate:
            words += ["--rate", str(rate)]
        return words

    def start(self, *arguments, **more):
        return subprocess.Popen(self.command(*arguments, **more), stdout=subprocess.PIPE, text=True, start_new_session=True)

    def run(self, *arguments, **more):
        return ended(self.start(*arguments, **more))

    def load(self, server, workload, seconds):
        """What the load of a row saw."""
        with idle(server, workload.idle), self.beside(server, workload, seconds):
            if workload.streams:
                return http2(server.url(workload.path), workload.connections, workload.streams, seconds)
            return self.run(server.port, workload.path, workload.connections, seconds, workload.headers, workload.body)

    @contextlib.contextmanager
    def beside(self, server, workload, seconds):
        """The load that is not measured, while the measured one runs."""
        if not workload.beside:
            yield
            return
        path, connections = workload.beside
        running = self.start(server.port, path, connections, seconds + 0.6)
        time.sleep(0.3)
        try:
            yield
        finally:
            ended(running)


def ended(running):
    """What a client said at its end."""
    said, _ = running.communicate()
    if running.returncode:
        sys.exit(f"the client has failed: {running.args}")
    return json.loads(said)


@contextlib.contextmanager
def idle(server, number):
    """Connections that are kept after one request and do nothing."""
    with contextlib.ExitStack() as kept:
        for _ in range(number):
            connection = kept.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
            connection.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.recv(4096)
        yield


def http2(url, connections, streams, seconds):
    """A closed loop over HTTP/2 without TLS, by h2load of nghttp2, whose log has every latency."""
    with tempfile.NamedTemporaryFile() as log:
        # Its time is given in whole seconds.
        words = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{max(1, round(seconds))}", f"--log-file={log.name}", url]
        began = time.monotonic()
        subprocess.run(words, check=True, capture_output=True)
        took = time.monotonic() - began
        log.seek(0)
        lines = [line.split() for line in log.read().decode().splitlines()]
    times = sorted(int(line[2]) / 1e6 for line in lines if line[1] == "200")
    failed = len(lines) - len(times)
    if not times:
        sys.exit(f"h2load got no answer from {url}")

    def quantile(share):
        return times[math.ceil(share * len(times)) - 1]

    seen = {"requests": len(times), "seconds": took, "rate": len(times) / took, "failed": failed, "mean": sum(times) / len(times)}
    return seen | {name: quantile(share) for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))}
