"""What is measured, and what it is to cost against mod_wsgi 6.1.1."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    """A load on one URL. `targets` are ratios, ours against mod_wsgi's, by mode and figure; `limits` are what ours may be by itself."""

    name: str
    path: str
    connections: int = 16
    targets: dict = dataclasses.field(default_factory=dict)
    limits: dict = dataclasses.field(default_factory=dict)
    #: Header lines of each request.
    headers: tuple = ()
    #: Octets of a request body.
    body: int = 0
    #: Connections that do nothing meanwhile.
    idle: int = 0
    #: A second load meanwhile, which is not measured: path and connections.
    beside: tuple = ()
    #: How many times as long it takes, because it has few requests to tell quantiles of.
    times: int = 1
    #: Streams on each connection; the load is HTTP/2 if there are any.
    streams: int = 0
    #: The row of the handler in C that is asked in the same way.
    floor: str = ""

    def modes(self):
        return [mode for mode in ("daemon", "embedded") if mode in self.targets]


def cpu(daemon=None, embedded=None, **more):
    """Targets of processor time per request; `more` are those of other figures in daemon mode."""
    targets = {}
    if daemon:
        targets["daemon"] = {"cpu": daemon, **more}
    if embedded:
        targets["embedded"] = {"cpu": embedded}
    return targets


BOTH = {"daemon": {}, "embedded": {}}
EMBEDDED = {"embedded": {}}
CLOSE = ("Connection: close",)
TWENTY = tuple(f"X-Header-{number}: some value of the usual length" for number in range(20))

WORKLOADS = [
    Workload("hello, 16 connections", "/hello", 16, cpu(0.32, 0.42), floor="a handler in C, 16 connections"),
    Workload("hello, 1 connection", "/hello", 1, cpu(0.32, 0.90, p50=0.40)),
    Workload("hello, connection: close", "/hello", 16, cpu(0.38, 0.52), headers=CLOSE, floor="a handler in C, connection: close"),
    # What httpd takes without any application: most of a request, above all of a new connection.
    Workload("a static file, 16 connections", "/static", 16, BOTH),
    Workload("a static file, connection: close", "/static", 16, BOTH, headers=CLOSE),
    Workload("a handler in C, 16 connections", "/floor", 16, EMBEDDED),
    Workload("a handler in C, connection: close", "/floor", 16, EMBEDDED, headers=CLOSE),
    # Only now: they leave httpd with more children than the rows before need, and a new connection wakes a thread of each.
    Workload("hello, 200 connections", "/hello", 200, cpu(0.32, 0.42), floor="a handler in C, 200 connections"),
    Workload("a handler in C, 200 connections", "/floor", 200, EMBEDDED),
    Workload("a handler in C, 1 KB, 20 request headers", "/floor?1000", 16, EMBEDDED, headers=TWENTY),
    Workload("a handler in C, 64 KiB body", "/floor?65536", 16, EMBEDDED),
    Workload("hello beside 200 idle connections", "/hello", 16, BOTH, idle=200),
    Workload(
        "1 KB JSON, 20 request headers", "/mixed/json", 16, cpu(0.34, 0.50), headers=TWENTY, floor="a handler in C, 1 KB, 20 request headers"
    ),
    Workload("64 KiB body", "/mixed/body", 16, cpu(0.38, 0.50), floor="a handler in C, 64 KiB body"),
    Workload("1 MiB generated in 16 KiB blocks", "/mixed/generated", 4, cpu(0.60, 0.85)),
    Workload("wsgi.file_wrapper 1 MiB", "/mixed/file?file-1m", 4, cpu(0.32)),
    Workload("wsgi.file_wrapper 100 MiB", "/mixed/file?file-100m", 2, cpu(0.42)),
    Workload("POST 1 MiB, read whole", "/mixed/post", 4, cpu(0.45, 0.65), body=1 << 20),
    Workload("1,000 small streamed blocks", "/mixed/streamed", 4, cpu(0.85)),
    Workload("Flask hello", "/flask/", 16, cpu(0.55, 0.75)),
    Workload("Django hello", "/django/", 16, cpu(0.48, 0.87)),
    Workload("2 ms of pure Python, 64 clients", "/mixed/busy", 64, cpu(0.92, p99=1.0), limits={"unfair": 2.0}),
    Workload("20 ms of sleep, 64 clients", "/mixed/sleep", 64, {"daemon": {}, **cpu(embedded=0.60)}, limits={"unfair": 2.0}),
    Workload("hello while 16 others run 2 ms each", "/hello", 1, {"daemon": {"p99": 0.6}}, beside=("/mixed/busy", 16), times=3),
    Workload("hello over HTTP/2, 4 x 8 streams", "/hello", 4, BOTH, streams=8),
]

#: What is also measured with httpd's other ways of handling connections.
OTHER_MPMS = ("prefork", "worker")
ON_OTHER_MPMS = ("hello, 16 connections", "Django hello")

#: Seconds that an application's import takes while it is reloaded, and how often that is done.
IMPORTS = (0.0, 0.5)

#: What must hold when code is replaced under load, in milliseconds: longer than the import, and longer than the slowest request without it.
NEW_CODE_AFTER = 50
SLOWER_BY = 20

#: Ratios of memory (PSS of all processes) in daemon mode, by what is measured.
MEMORY = {"hello, processes=4": 0.75, "Django, processes=4": 0.95, "Django, processes=4, preload": 0.45}
#: An httpd child that only forwards may be larger than without the module by so many KiB.
CHILD = 1024

#: Time to the first daemon answer.
COLD_START = 0.9
