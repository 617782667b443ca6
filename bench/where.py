"""Where the processor time of a request goes: the kernel, httpd, our module, Python, the C library; by perf, which samples the clock."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time

from rounds import measure
from sites import Site
from workloads import WORKLOADS

#: Which are looked into.
CHOSEN = (
    "hello, 1 connection",
    "hello, 16 connections",
    "hello, connection: close",
    "a static file, connection: close",
    "64 KiB body",
    "1 MiB generated in 16 KiB blocks",
    "1,000 small streamed blocks",
    "Flask hello",
    "Django hello",
)

PARTS = ("kernel", "httpd", "module", "Python", "C library")


def part(library):
    """Whose code a library is, by its name."""
    name = os.path.basename(library)
    if library.startswith("["):
        return "kernel"
    if name.startswith("mod_wsgi"):
        return "module"
    if name.startswith(("python3", "libpython")) or ".cpython-" in name:
        return "Python"
    if name.startswith(("libc.so", "libc-", "ld-linux", "libm.so", "libpthread")):
        return "C library"
    return "httpd"


def shares(server, client, workload, seconds):
    """How the samples of these processes are divided while the load runs."""
    with tempfile.TemporaryDirectory() as folder:
        pids = ",".join(map(str, server.processes()))
        running = client.start(server.port, workload.path, workload.connections, seconds + 1, headers=workload.headers, body=workload.body)
        time.sleep(0.3)
        data = f"{folder}/perf.data"
        command = ["perf", "record", "-q", "-F", "1999", "-e", "cpu-clock", "-o", data, "-p", pids, "--", "sleep", str(seconds)]
        subprocess.run(command, check=True, capture_output=True)
        running.communicate()
        command = ["perf", "report", "-i", data, "--stdio", "-q", "--sort", "dso", "-F", "overhead,dso"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = dict.fromkeys(PARTS, 0.0)
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].endswith("%"):
            found[part(words[1])] += float(words[0].rstrip("%")) / 100
    return found


def measure_where(record, client, tested, options):
    if not shutil.which("perf"):
        print("where the time goes: perf is not installed")
        return
    print(f"{'us of CPU per request':37}{'mode':>9}{'module':>16}{'all':>7}" + "".join(f"{name:>11}" for name in PARTS))
    for mode in ("daemon", "embedded"):
        for name, module in tested.items():
            wanted = [
                w for w in WORKLOADS
                if w.name in CHOSEN and mode in w.modes() and not record.has(kind="where", workload=w.name, mode=mode, module=name)
            ]
            if not wanted:
                continue
            server = Site(module, mode, options.packages)
            try:
                server.wait()
                for workload in wanted:
                    client.load(server, workload, 0.5)
                    cpu = statistics.median(measure(client, server, workload, options.seconds)["cpu"] for _ in range(2))
                    found = {}
                    while not any(found.values()):
                        # perf has been seen to come back with nothing.
                        found = {part: share * cpu for part, share in shares(server, client, workload, 2).items()}
                    row = {"kind": "where", "workload": workload.name, "mode": mode, "module": name, "cpu": cpu, "parts": found}
                    record.add(row)
                    print(f"{workload.name:37}{mode:>9}{name:>16}{cpu:>7.0f}" + "".join(f"{found[part]:>11.1f}" for part in PARTS), flush=True)
            finally:
                server.stop()
