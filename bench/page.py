"""Writes docs/performance.md and its plots from the files of several runs: of each figure the median of the runs."""

import argparse
import functools
import itertools
import os
import statistics

import svg
from moments import excess, slower
from record import read
from remarks import REMARKS
from rounds import ratios
from where import PARTS
from workloads import CHILD, COLD_START, NEW_CODE_AFTER, SLOWER_BY, WORKLOADS

HEAD = """\
# What a request costs

Written by `make bench FULL=1` from the medians of {count} runs; `make bench` is one run, of about five minutes. {date}: {system}, Linux {kernel},
{processors}, httpd {httpd}, CPython {python}; load average before the runs: {load}.

Both modules are loaded by an httpd of their own, with the same configuration (defaults, two daemon processes of 15 threads) and
applications. Both are up at once and measured turn and turn about, A B B A. A ratio is ours divided by mod_wsgi's (6.1.1, from PyPI) in the same
round; the median of the rounds counts, and the spread is from the least to the largest. CPU is the processor time of httpd and of all that it
started, without the client, per request. The client runs on the same processors; it keeps each latency, and what it does is a closed loop
unless a rate is named. Every check, log, timer, counter and limit is on.

**Noise.** mod_wsgi compared with itself in the same way: {noise}. A ratio that is nearer to another than that says nothing.

**Missed** targets are marked ✗ and listed below with what stands in the way. "A handler in C" is one of httpd's that answers from memory and does
nothing else (`bench/floor.c`): nothing in this httpd can cost less.
"""


class Runs:
    """The rows of all runs."""

    def __init__(self, paths):
        self.runs = [read(path) for path in paths]

    def all(self, **key):
        return [row for rows in self.runs for row in rows if all(row.get(name) == value for name, value in key.items())]


def summary(rows, figure, reference="mod_wsgi"):
    """The median of the runs' medians, the least and the largest ratio; None without such a figure."""
    found = [ratios(row["rounds"], figure, "ours", reference) for row in rows]
    found = [each for each in found if each]
    if not found:
        return None
    return statistics.median(map(statistics.median, found)), min(each[0] for each in found), max(each[-1] for each in found)


def absolute(rows, name, figure):
    values = [each[name][figure] for row in rows for each in row["rounds"] if figure in each[name]]
    return statistics.median(values) if values else None


def floor(runs, workload, mode):
    """What the handler in C takes, against mod_wsgi's row of a workload in one mode: the median of the runs' own."""
    found = []
    for rows in runs.runs:
        take = lambda name, mode: [
            row for row in rows if row.get("kind") == "load" and row["workload"] == name and row["mode"] == mode and row["mpm"] == "event"
        ]
        least, theirs = take(workload.floor, "embedded"), take(workload.name, mode)
        if least and theirs:
            both = [each[name]["cpu"] for row in least for each in row["rounds"] for name in ("ours", "mod_wsgi")]
            found.append(statistics.median(both) / absolute(theirs, "mod_wsgi", "cpu"))
    return statistics.median(found) if found else None


def short(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def mark(value, target):
    return "" if target is None else f"≤ {target:g} {'✓' if value <= target else '✗'}"


def load_rows(runs, mode, mpm, missed):
    lines, bars = [], []
    for workload in WORKLOADS:
        rows = runs.all(kind="load", workload=workload.name, mode=mode, mpm=mpm)
        if not rows:
            continue
        targets = dict(rows[0]["targets"])
        cells = {figure: summary(rows, figure) for figure in ("cpu", "rate", "p50", "p99", "p999")}
        cpu = cells["cpu"]
        for figure, target in targets.items():
            if cells[figure] and cells[figure][0] > target:
                missed.append((workload.name, mode, figure, cells[figure][0], target, cells[figure][1:]))
        others = []
        for figure in ("rate", "p50", "p99", "p999"):
            value = cells[figure] and cells[figure][0]
            plain = absolute(rows, "ours", figure)
            plain = f"({plain:,.0f})" if figure == "rate" else f"({plain * 1000:.2f})"
            others.append(" ".join(filter(None, [short(value), plain, mark(value, targets.get(figure)) if value else ""])))
        switches = "/".join(short(absolute(rows, name, "switches"), 1) for name in ("ours", "mod_wsgi"))
        spread = f"{cpu[1]:.2f}–{cpu[2]:.2f}" if cpu else ""
        failed = "/".join(str(sum(each[name]["failed"] for row in rows for each in row["rounds"])) for name in ("ours", "mod_wsgi"))
        lines.append(
            f"| {workload.name} | {short(absolute(rows, 'mod_wsgi', 'cpu'), 0)} | {short(absolute(rows, 'ours', 'cpu'), 0)} | "
            f"{short(cpu and cpu[0])} | {spread} | {mark(cpu[0], targets.get('cpu')) if cpu else ''} | {' | '.join(others)} | {switches} | {failed} |"
        )
        if cpu:
            bars.append((workload.name, *cpu, targets.get("cpu")))
    return lines, bars


LOADS_HEAD = """
| Workload | mod_wsgi µs | ours µs | CPU × | spread | target | requests/s × | p50 × (ours, ms) | p99 × | p99.9 × | context switches (ours/mod_wsgi) | failed |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def loads(runs, folder, missed):
    text = ""
    for mode in ("daemon", "embedded"):
        lines, bars = load_rows(runs, mode, "event", missed)
        if not lines:
            continue
        text += f"\n## {mode.capitalize()} mode\n\n![ratios](performance/{mode}.svg)\n{LOADS_HEAD}" + "\n".join(lines) + "\n"
        with open(f"{folder}/{mode}.svg", "w") as file:
            file.write(svg.ratios(f"CPU per request against mod_wsgi, {mode} mode (line: spread, green: target)", bars))
    others = ""
    for mpm in ("prefork", "worker"):
        for mode in ("daemon", "embedded"):
            lines, _ = load_rows(runs, mode, mpm, [])
            others += "".join(line.replace("| ", f"| {mpm}, {mode}: ", 1) + "\n" for line in lines)
    if others:
        text += f"\n## prefork and worker\n{LOADS_HEAD}{others}"
    return text + fairness(runs, missed)


def fairness(runs, missed):
    text = "\n## Fairness\n\nThe slowest request divided by the mean, 64 clients on 2 × 15 threads (target: ≤ 2), and what the least served client got of what the "
    text += "most served one did.\n\n| Workload | ours | least/most | mod_wsgi | least/most |\n|---|---|---|---|---|\n"
    for workload in WORKLOADS:
        rows = runs.all(kind="load", workload=workload.name, mode="daemon", mpm="event")
        if "unfair" not in workload.limits or not rows:
            continue
        cells = []
        for name in ("ours", "mod_wsgi"):
            share = statistics.median(each[name]["least"] / max(each[name]["most"], 1) for row in rows for each in row["rounds"])
            unfair = absolute(rows, name, "unfair")
            cells.append(f"{unfair:.2f}{' ' + mark(unfair, workload.limits['unfair']) if name == 'ours' else ''} | {share:.2f}")
        if absolute(rows, "ours", "unfair") > workload.limits["unfair"]:
            missed.append((workload.name, "daemon", "slowest/mean", absolute(rows, "ours", "unfair"), workload.limits["unfair"]))
        text += f"| {workload.name} | {' | '.join(cells)} |\n"
    return text


def reloads(runs, missed):
    text = f"""
## New code and restarts under load

200 requests a second at fixed times, each latency from the time at which the request was due, while the script is touched, or httpd restarted gracefully, twice in four
seconds. An import computes for so long. "New code": from the touch to the first answer of new code, without the import's own time
(target: ≤ {NEW_CODE_AFTER} ms). "Slower": the slowest request against the slowest of the calm seconds before (target: ≤ {SLOWER_BY} ms). All in ms.

| Event | Mode | Import s | Module | p50 | p99 | longest | slower by | over 50 ms | failed | new code |
|---|---|---|---|---|---|---|---|---|---|---|
"""
    keys = dict.fromkeys((row["event"], row["mode"], row["seconds"]) for row in runs.all(kind="reload"))
    for event, mode, seconds in keys:
        for name in ("ours", "mod_wsgi"):
            rows = runs.all(kind="reload", event=event, mode=mode, seconds=seconds, module=name)
            if not rows:
                continue
            middle = {figure: statistics.median(row["seen"][figure] for row in rows) for figure in ("p50", "p99", "max", "noticed", "failed")}
            delay = statistics.median(map(slower, rows))
            late = [excess(row) for row in rows if excess(row) is not None]
            code = statistics.median(late) if late else None
            marks = ("", "")
            if name == "ours":
                # A restart of httpd has no target of its own: nobody accepts connections while it starts its children.
                marks = ("" if event != "touch" else " ✓" if delay <= SLOWER_BY else " ✗", "" if code is None else " ✓" if code <= NEW_CODE_AFTER else " ✗")
                if delay > SLOWER_BY and event == "touch":
                    missed.append((f"{event}, import of {seconds:g} s", mode, "slower by ms", delay, SLOWER_BY))
                if code is not None and code > NEW_CODE_AFTER:
                    missed.append((f"{event}, import of {seconds:g} s", mode, "new code after ms", code, NEW_CODE_AFTER))
            text += (
                f"| {event} | {mode} | {seconds:g} | {name} | {middle['p50'] * 1000:.1f} | {middle['p99'] * 1000:.1f} | {middle['max'] * 1000:.0f} | "
                f"{delay:.0f}{marks[0]} | {middle['noticed']:.0f} | {middle['failed']:.0f} | {short(code, 0)}{marks[1]} |\n"
            )
    starts = [row["starts"] for row in runs.all(kind="start")]
    if starts:
        ours, theirs = (statistics.median(value for each in starts for value in each[name]) * 1000 for name in ("ours", "mod_wsgi"))
        text += f"\nFirst daemon answer after the start of httpd: {ours:.0f} ms, mod_wsgi's {theirs:.0f} ms: {ours / theirs:.2f} × {mark(ours / theirs, COLD_START)}.\n"
        if ours > COLD_START * theirs:
            missed.append(("first daemon answer", "daemon", "ratio", ours / theirs, COLD_START))
    return text


def memory(runs, missed):
    text = "\n## Memory\n\nPSS of all processes after a second of load from 64 connections, in MiB; in brackets httpd, supervisor, workers.\n\n"
    text += "| What | mod_wsgi | ours | × | target |\n|---|---|---|---|---|\n"
    own = {}
    for what in dict.fromkeys(row["what"] for row in runs.all(kind="memory")):
        rows = runs.all(kind="memory", what=what)
        own[what] = statistics.median(row["ours child"]["own"] for row in rows)
        ours = statistics.median(row["ours"] for row in rows) / 2**20
        theirs = statistics.median(row["mod_wsgi"] for row in rows) / 2**20 if rows[0].get("mod_wsgi") else None
        kinds = ", ".join(f"{statistics.median(row['ours by kind'][kind] for row in rows) / 2**20:.0f}" for kind in ("httpd", "supervisor", "worker"))
        target = rows[0]["target"]
        text += f"| {what} | {short(theirs, 1)} | {ours:.1f} ({kinds}) | {short(theirs and ours / theirs)} | {mark(ours / theirs, target) if theirs else ''} |\n"
        if theirs and target and ours / theirs > target:
            missed.append((what, "memory", "PSS ratio", ours / theirs, target))
    if {"hello, processes=1", "static file, no module"} <= own.keys():
        more = own["hello, processes=1"] - own["static file, no module"]
        libpython = any(row["ours child"]["libpython"] for row in runs.all(kind="memory", what="hello, processes=1"))
        text += f"\nAn httpd child that only forwards has {more:.0f} KiB more of its own than one without the module ({mark(more, CHILD)}), and "
        text += f"{'maps' if libpython else 'does not map'} libpython.\n"
        if more > CHILD:
            missed.append(("httpd child", "memory", "KiB more", more, CHILD))
    return text


def beside(runs):
    rows = runs.all(kind="beside")
    if not rows:
        return ""
    text = "\n## What else there is\n\nAgainst mod_wsgi in daemon mode, each with two processes of 15 threads.\n\n"
    text += "| Server | Workload | CPU × | requests/s × | p50 × | p99 × |\n|---|---|---|---|---|---|\n"
    for name, workload in dict.fromkeys((row["name"], row["workload"]) for row in rows):
        cells = [summary(runs.all(kind="beside", name=name, workload=workload), figure) for figure in ("cpu", "rate", "p50", "p99")]
        text += f"| {name} | {workload} | {' | '.join(short(cell and cell[0]) for cell in cells)} |\n"
    return text


def where(runs, folder):
    rows = runs.all(kind="where")
    if not rows:
        return ""
    text = "\n## Where it goes\n\nµs of CPU per request by whose code ran, sampled with perf.\n\n![where](performance/where.svg)\n\n"
    text += f"| Workload | Mode | Module | all | {' | '.join(PARTS)} |\n|---|---|---|---|{'---|' * len(PARTS)}\n"
    bars = []
    for workload, mode, name in dict.fromkeys((row["workload"], row["mode"], row["module"]) for row in rows):
        found = runs.all(kind="where", workload=workload, mode=mode, module=name)
        parts = [statistics.median(row["parts"][part] for row in found) for part in PARTS]
        text += f"| {workload} | {mode} | {name} | {sum(parts):.0f} | {' | '.join(f'{value:.1f}' for value in parts)} |\n"
        bars.append((f"{workload}, {mode}, {name}", parts))
    with open(f"{folder}/where.svg", "w") as file:
        file.write(svg.stacks("µs of CPU per request", PARTS, bars))
    return text


def miss(runs, what, mode, figure, value, target, spread=None):
    """The line of a missed target: what was reached, what the handler in C takes for the same, and what stands in the way."""
    workload = next((workload for workload in WORKLOADS if workload.name == what and workload.floor), None)
    least = floor(runs, workload, mode) if workload else None
    bare = "" if least is None else f" The handler in C takes {least:.2f}."
    between = "" if spread is None else f" (rounds from {spread[0]:.2f} to {spread[1]:.2f})"
    return f"* **{what}**, {mode}: {figure} {value:.2f}{between}, to reach {target:g}.{bare} {REMARKS.get((what, mode), '')}".rstrip()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="what side_by_side.py has written")
    parser.add_argument("--docs", required=True, help="the folder of the documentation")
    options = parser.parse_args()
    runs = Runs(options.runs)
    folder = f"{options.docs}/performance"
    os.makedirs(folder, exist_ok=True)
    missed = []
    body = loads(runs, folder, missed) + reloads(runs, missed) + memory(runs, missed) + beside(runs) + where(runs, folder)
    noise = runs.all(kind="noise")
    said = []
    for mode in dict.fromkeys(row["mode"] for row in noise):
        for figure, name in (("cpu", "CPU"), ("rate", "rate"), ("p99", "p99")):
            _, least, largest = summary([row for row in noise if row["mode"] == mode], figure)
            said.append(f"{name} {least:.2f} to {largest:.2f} ({mode})")
    about = runs.runs[0][0]
    loads_before = ", ".join(str(rows[0]["load"]) for rows in runs.runs)
    measured = len([rows for rows in runs.runs if any(row["kind"] == "load" and row["mpm"] == "event" for row in rows)])
    text = HEAD.format(**{**about, "load": loads_before}, count=measured, noise=", ".join(said) or "not measured") + body
    text += "\n## What is missed\n\n"
    text += "".join(f"{line}\n" for line in itertools.starmap(functools.partial(miss, runs), missed)) or "Nothing.\n"
    with open(f"{options.docs}/performance.md", "w") as file:
        file.write(text)
    print(f"{options.docs}/performance.md: {len(missed)} targets are missed")


if __name__ == "__main__":
    main()
