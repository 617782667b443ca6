"""Compares our module with mod_wsgi 6.1.1 on one machine in one run: processor time per request, rate, latency, memory, cold start.

Both servers are up at once, with the same configuration and applications, and are measured turn and turn about (A B B A ...). The
ratio of a round is that of its two halves, so what the machine does besides meets both; the table shows the median of the rounds and
their spread. The client (wrk) runs on the same processors, so the rates are those of a whole small machine; the processor time is
that of httpd and the processes that it started, from /proc, without the client's.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time

from servers import modules, results
from sites import Site
from workloads import WORKLOADS

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def script_for(workload):
    """A wrk script for what its command line cannot say; None when it can."""
    if not workload.body:
        return None
    file = tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False)
    with file:
        file.write(f'wrk.method = "POST"\nwrk.body = string.rep("b", {workload.body})\n')
    return file.name


def load(url, workload, seconds, script):
    """What wrk saw: requests, seconds, failures, latencies in seconds."""
    command = ["wrk", "--latency", "-t1", f"-c{workload.connections}", f"-d{seconds}s", "--timeout", "20s"]
    for header in workload.headers:
        command += ["-H", header]
    if script:
        command += ["-s", script]
    text = subprocess.run(command + [url], check=True, capture_output=True, text=True).stdout
    requests, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    # With all its threads busy httpd closes kept connections between two requests: wrk counts that as "read", and connects again.
    failures = sum(map(int, re.findall(r"(?:connect|timeout|responses:) (\d+)", text)))
    latency = {name: float(value) * UNITS[unit] for name, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", text)}
    return int(requests), float(took), failures, latency


def measure(server, workload, seconds, script):
    before = server.processor_time()
    requests, took, failures, latency = load(server.url(workload.path), workload, seconds, script)
    used = server.processor_time() - before
    requests = max(requests, 1)
    return {"rate": requests / took, "processor": used / requests * 1e6, "failures": failures, "p50": latency["50"], "p99": latency["99"]}


def compare(servers, workload, rounds, seconds):
    """The rounds of one workload: for each, what both modules did."""
    script = script_for(workload)
    try:
        for server in servers.values():
            load(server.url(workload.path), workload, 1, script)
        result = []
        for number in range(rounds):
            names = list(servers) if number % 2 == 0 else list(reversed(servers))
            result.append({name: measure(servers[name], workload, seconds, script) for name in names})
        return result
    finally:
        if script:
            os.unlink(script)


def ratio(rounds, key):
    """The median of the rounds' ratios, ours against theirs, with the least and the largest."""
    ratios = [each["ours"][key] / each["mod_wsgi"][key] for each in rounds if each["mod_wsgi"][key]]
    return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else (float("nan"),) * 3


def median(rounds, name, key):
    return statistics.median(each[name][key] for each in rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the folder of mod_wsgi.so")
    parser.add_argument("--theirs", required=True, help="the virtual environment, or the file, of mod_wsgi")
    parser.add_argument("--packages", required=True, help="a folder with Flask and Django")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mpm", default="event")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    options = parser.parse_args()
    tested = modules(options.ours, options.theirs)
    seconds = int(options.seconds)
    print(
        f"{platform.platform()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, {options.mpm} MPM; "
        f"{options.rounds} rounds of {seconds} s, median of ratios (least to largest); CPU in us per request"
    )
    print(f"{'workload':34}{'mode':>9}{'mod_wsgi':>10}{'ours':>9}{'ratio':>7}{'spread':>14}{'target':>8}  {'rate':>6}{'p50':>6}{'p99':>6}{'failed':>7}")
    rows = []
    for mode in ("daemon", "embedded"):
        chosen = [workload for workload in WORKLOADS if mode in workload.modes() and options.only in workload.name]
        if not chosen:
            continue
        servers = {name: Site(module, mode, options.packages, mpm=options.mpm) for name, module in tested.items()}
        try:
            for server in servers.values():
                server.wait()
            for workload in chosen:
                rounds = compare(servers, workload, options.rounds, seconds)
                cpu, least, largest = ratio(rounds, "processor")
                target = workload.target[mode]
                row = {
                    "workload": workload.name,
                    "mode": mode,
                    "target": target,
                    "ratio": cpu,
                    "rounds": rounds,
                    "failures": {name: sum(each[name]["failures"] for each in rounds) for name in servers},
                }
                rows.append(row)
                print(
                    f"{workload.name:34}{mode:>9}{median(rounds, 'mod_wsgi', 'processor'):>10.0f}{median(rounds, 'ours', 'processor'):>9.0f}"
                    f"{cpu:>7.2f}{f'{least:.2f}-{largest:.2f}':>14}{f'<={target:.2f}':>8}{'+' if cpu <= target else '-':>2}"
                    f"{ratio(rounds, 'rate')[0]:>6.2f}{ratio(rounds, 'p50')[0]:>6.2f}{ratio(rounds, 'p99')[0]:>6.2f}"
                    f"{row['failures']['ours']:>4}/{row['failures']['mod_wsgi']}",
                    flush=True,
                )
        finally:
            memory = {name: server.memory() for name, server in servers.items()}
            for server in servers.values():
                server.stop()
        print(f"memory after that, {mode}: {memory['ours'] / 2**20:.0f} MiB ours, {memory['mod_wsgi'] / 2**20:.0f} MiB mod_wsgi (PSS of all processes)")
        rows.append({"memory": memory, "mode": mode})
    starts = {name: [] for name in tested}
    for _ in range(options.rounds):
        for name, module in tested.items():
            server = Site(module, "daemon", options.packages)
            starts[name].append(server.wait())
            server.stop()
    cold = {name: statistics.median(times) * 1000 for name, times in starts.items()}
    print(f"first daemon answer after the start: {cold['ours']:.0f} ms ours, {cold['mod_wsgi']:.0f} ms mod_wsgi ({cold['ours'] / cold['mod_wsgi']:.2f})")
    rows.append({"cold start": starts})
    with open(os.path.join(results(), time.strftime("%Y-%m-%d-%H%M%S.json")), "w") as file:
        json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
