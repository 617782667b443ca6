"""Injects faults into daemon groups under load and prints what clients saw: ours, and mod_wsgi 6.1.1 beside it, in the same run.

Every fault has an httpd of its own: `good`, a group of 2 processes with 15 threads, is asked all the time, and so is a static file;
the hostile applications live in a second group. Before each fault the same load is measured without it.

A run may be given some minutes only: it ends before the row that would take longer, and the next run goes on there.
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

from faults import FAULTS, PAUSE_OF_SOAK, Fault, touches
from scene import Load, Scene
from servers import modules, results

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
        capacity = not module or server.has_capacity()
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


def cells(row):
    """What the table says, as text."""
    ratio = row["p99"] / row["calm"]["p99"] if row["p99"] and row["calm"]["p99"] else float("nan")
    number = lambda value: f"{value:.1f}" if value is not None else "-"
    counts = [str(row[name]) for name in ("sent", "failed", "wrong", "hung", "repeated")]
    static = str(row["static"]["failed"] + row["static"]["hung"])
    times = [number(row["p50"]), number(row["calm"]["p99"]), number(row["p99"]), f"{ratio:.1f}", number(row["max"])]
    return [row["fault"], row["module"], *counts, *times, static, row["remarks"]]


HEAD = ["Fault", "Module", "sent", "failed", "wrong", "hung", "again", "p50 ms", "calm p99", "p99 ms", "× calm", "max ms", "static", "What happened"]
WIDTHS = [26, 10, 7, 8, 7, 6, 7, 8, 10, 8, 8, 8, 8]


def line(values):
    fixed = [value.ljust(width) if at < 2 else value.rjust(width) for at, (value, width) in enumerate(zip(values, WIDTHS))]
    return "".join(fixed) + "  " + values[-1]


def markdown(table):
    """The table as docs/faults.md has it."""
    rows = [[cell for cell, name in zip(row, HEAD) if name not in ("calm p99", "static")] for row in (HEAD, *map(cells, table))]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


BEGIN, END = "<!-- what make faults FULL=1 has written -->", "<!-- until here -->"


def write_page(path, table, machine):
    """Puts the table in the place of the one on the page, with where and when it was measured."""
    with open(path) as file:
        before, _, rest = file.read().partition(BEGIN)
        _, _, after = rest.partition(END)
    lost = sum(row["static"]["failed"] + row["static"]["hung"] for row in table)
    text = f"The long form, of {time.strftime('%-d %B %Y')}: {machine}. Of static files {lost or 'none'} failed.\n\n{markdown(table)}"
    with open(path, "w") as file:
        file.write(f"{before}{BEGIN}\n{text}\n{END}{after}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the folder of mod_wsgi.so")
    parser.add_argument("--theirs", help="the virtual environment, or the file, of mod_wsgi; ours alone without it")
    parser.add_argument("--full", action="store_true", help="the long form, of 35 minutes")
    parser.add_argument("--soak", type=int, help="so many touches and nothing else, of ours alone")
    parser.add_argument("--minutes", type=float, help="end before this is over; the same command goes on there, but for a soak, which ends")
    parser.add_argument("--only", default="", help="faults whose name matches")
    parser.add_argument("--amount", type=int, help="how often or how long each fault is injected")
    parser.add_argument("--docs", help="the page whose table is replaced by that of the long form")
    parser.add_argument("--logs", help="a folder to keep the error logs in")
    return parser.parse_args()


def keep_log(folder, row):
    log = row.pop("log")
    if folder:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{re.sub('[^a-z0-9]+', '-', row['fault'].lower())}.{row['module']}.log"), "w") as file:
            file.write(log)


def main():
    began, options = time.monotonic(), arguments()
    tested = modules(options.ours, None if options.soak else options.theirs) | {"httpd": None}
    faults = FAULTS
    if options.soak:
        # It is one row, of one server: what it has seen when its minutes are over is the result.
        minutes, options.minutes = options.minutes, None
        soak = lambda server, count: touches(server, count, PAUSE_OF_SOAK, minutes)
        faults = [Fault("soak of touches", soak, options.soak, options.soak, only=("ours",), pace=0.15)]
    wanted = [(fault, name) for fault in faults for name in tested if re.search(options.only, fault.name) and fault.concerns(name)]
    # What a run before has not finished.
    unfinished = os.path.join(results(), f"faults-{'full' if options.full else 'quick'}-unfinished.json")
    table = []
    if options.minutes and os.path.exists(unfinished):
        with open(unfinished) as file:
            table = json.load(file)
    machine = f"{platform.platform()}, {os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}"
    print(f"{machine}, 300 requests/s over 12 connections")
    print(line(HEAD), flush=True)
    for fault, name in wanted:
        if any((row["fault"], row["module"]) == (fault.name, name) for row in table):
            continue
        amount = options.amount or fault.amount(name, options.full)
        if options.minutes and time.monotonic() - began + fault.seconds(name, options.full) > 60 * options.minutes:
            print(f"{len(table)} of {len(wanted)} rows are there; the same command goes on")
            return 0
        row = {"module": name, **run(fault, amount, tested[name], 5 if options.full else 2)}
        keep_log(options.logs, row)
        print(line(cells(row)), flush=True)
        table.append(row)
        if options.minutes:
            with open(unfinished, "w") as file:
                json.dump(table, file, indent=1)
    with open(os.path.join(results(), time.strftime("faults-%Y-%m-%d-%H%M%S.json")), "w") as file:
        json.dump(table, file, indent=1)
    if options.minutes:
        os.remove(unfinished)
    if options.full and options.docs and not options.only:
        write_page(options.docs, table, machine)
    # What must never be: an answer to somebody else's request, or none.
    return int(any(row["wrong"] or row["hung"] for row in table if row["module"] == "ours"))


if __name__ == "__main__":
    sys.exit(main())
