"""Injects faults into daemon groups under load and prints what clients saw: ours, and mod_wsgi 6.1.1 beside it, in the same run.

Every fault has an httpd of its own: `good`, a group of 2 processes with 15 threads, is asked all the time, and so is a static file;
the hostile applications live in a second group. Before each fault the same load is measured without it.
"""

import argparse
import json
import os
import platform
import re
import sys
import time

# This folder is run by its name: what it shares with the other measurements is above it.
sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from faults import FAULTS, Fault, touches
from scene import Load, Scene
from servers import modules, results

HEAD = f"{'fault':26}{'module':10}{'sent':>7}{'failed':>8}{'wrong':>7}{'hung':>6}{'again':>7}{'p50 ms':>8}{'p99 ms':>8}{'x calm':>8}{'max ms':>8}{'static':>8}  remarks"


def run(fault, amount, module, calm_seconds):
    """One fault, one module: a row."""
    server = Scene(module, fault.good, fault.bad)
    load = Load(server)
    try:
        # Processes start, scripts are loaded.
        time.sleep(1)
        load.mark()
        time.sleep(calm_seconds)
        calm, _ = load.mark()
        remarks = fault.inject(server, amount)
        seen, static = load.mark()
        time.sleep(0.5)
        after, _ = load.mark()
        load.stop()
        capacity = server.has_capacity()
        log = server.log()
    finally:
        if load.process.poll() is None:
            load.process.kill()
        stopped, left = server.stop()
    seen["hung"] += after["hung"]
    if not capacity:
        remarks += "; CAPACITY IS NOT BACK"
    if left:
        remarks += f"; LEFT OVER after stop: {left}"
    if stopped > 9:
        remarks += f"; httpd stopped after {stopped:.0f} s"
    if "panicked" in log:
        remarks += "; A PANIC is in the log"
    failures = " ".join(f"{how}x{count}" for how, count in seen["failures"].items())
    if failures:
        remarks += f"; failed: {failures}"
    return {"fault": fault.name, **seen, "calm": calm, "static": static, "remarks": remarks, "log": log}


def show(name, row):
    ratio = row["p99"] / row["calm"]["p99"] if row["p99"] and row["calm"]["p99"] else float("nan")
    number = lambda value: f"{value:.1f}" if value is not None else "-"
    static = row["static"]["failed"] + row["static"]["hung"]
    print(
        f"{row['fault']:26}{name:10}{row['sent']:>7}{row['failed']:>8}{row['wrong']:>7}{row['hung']:>6}{row['repeated']:>7}"
        f"{number(row['p50']):>8}{number(row['p99']):>8}{ratio:>8.1f}{number(row['max']):>8}{static:>8}  {row['remarks']}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the folder of mod_wsgi.so")
    parser.add_argument("--theirs", help="the virtual environment, or the file, of mod_wsgi; ours alone without it")
    parser.add_argument("--full", action="store_true", help="the long form, of about an hour")
    parser.add_argument("--soak", action="store_true", help="10,000 touches and nothing else, of ours alone")
    parser.add_argument("--only", default="", help="faults whose name matches")
    parser.add_argument("--logs", help="a folder to keep the error logs in")
    options = parser.parse_args()
    tested = modules(options.ours, None if options.soak else options.theirs)
    faults = [Fault("soak of touches", touches, 10_000, 10_000)] if options.soak else FAULTS
    print(f"{platform.platform()}, {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}, 300 requests/s over 12 connections")
    print(HEAD)
    table = []
    for fault in faults:
        if not re.search(options.only, fault.name):
            continue
        for name, module in tested.items():
            if fault.ours_only and name != "ours":
                continue
            row = run(fault, fault.full if options.full else fault.quick, module, 10 if options.full else 2)
            if options.logs:
                os.makedirs(options.logs, exist_ok=True)
                with open(os.path.join(options.logs, f"{re.sub('[^a-z0-9]+', '-', fault.name.lower())}.{name}.log"), "w") as file:
                    file.write(row["log"])
            del row["log"]
            show(name, row)
            table.append({"module": name, **row})
    with open(os.path.join(results(), time.strftime("faults-%Y-%m-%d-%H%M%S.json")), "w") as file:
        json.dump(table, file, indent=1)
    # What must never be: an answer to somebody else's request, or none.
    ours = [row for row in table if row["module"] == "ours"]
    sys.exit(any(row["wrong"] or row["hung"] for row in ours))


if __name__ == "__main__":
    main()
