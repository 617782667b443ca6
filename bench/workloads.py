"""What is measured, and what it is to cost against mod_wsgi 6.1.1 (the ratio of processor time per request; None: not set)."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    """A load on one URL."""

    name: str
    path: str
    connections: int = 16
    target: dict = dataclasses.field(default_factory=dict)
    #: Header lines of each request.
    headers: tuple = ()
    #: Octets of a request body.
    body: int = 0

    def modes(self):
        return [mode for mode in ("daemon", "embedded") if mode in self.target]


TWENTY = tuple(f"X-Header-{number}: some value of the usual length" for number in range(20))

WORKLOADS = [
    Workload("hello, 16 connections", "/hello", 16, {"daemon": 0.32, "embedded": 0.42}),
    Workload("hello, 1 connection", "/hello", 1, {"daemon": 0.32, "embedded": 0.90}),
    Workload("hello, 200 connections", "/hello", 200, {"daemon": 0.32, "embedded": 0.42}),
    Workload("hello, connection: close", "/hello", 16, {"daemon": 0.38, "embedded": 0.52}, headers=("Connection: close",)),
    Workload("1 KB JSON, 20 request headers", "/mixed/json", 16, {"daemon": 0.34, "embedded": 0.50}, headers=TWENTY),
    Workload("64 KiB body", "/mixed/body", 16, {"daemon": 0.38, "embedded": 0.50}),
    Workload("1 MiB generated in 16 KiB blocks", "/mixed/generated", 4, {"daemon": 0.60, "embedded": 0.85}),
    Workload("wsgi.file_wrapper 1 MiB", "/mixed/file?file-1m", 4, {"daemon": 0.32}),
    Workload("wsgi.file_wrapper 100 MiB", "/mixed/file?file-100m", 2, {"daemon": 0.42}),
    Workload("POST 1 MiB, read whole", "/mixed/post", 4, {"daemon": 0.45, "embedded": 0.65}, body=1 << 20),
    Workload("1,000 small streamed blocks", "/mixed/streamed", 4, {"daemon": 0.85}),
    Workload("Flask hello", "/flask", 16, {"daemon": 0.55, "embedded": 0.75}),
    Workload("Django hello", "/django", 16, {"daemon": 0.48, "embedded": 0.87}),
    Workload("2 ms of pure Python, 64 clients", "/mixed/busy", 64, {"daemon": 0.92}),
    Workload("20 ms of sleep, 64 clients", "/mixed/sleep", 64, {"embedded": 0.60}),
]
