"""Compares our module with mod_wsgi 6.1.1 on one machine in one run: processor time per request, rate, latency, memory, reloads, starts.

Both servers are up at once, with the same configuration and applications, and are measured turn and turn about (A B B A ...). The
ratio of a round is that of its two halves, so what the machine does besides meets both; the table shows the median of the rounds and
their spread. The client runs on the same processors, so the rates are those of a whole small machine; the processor time is
that of httpd and the processes that it started, from /proc, without the client's. How much of a ratio is chance is shown by a row
that compares mod_wsgi with itself.

Each row is written as it is measured; with --into a run that was interrupted goes on where it stopped.
"""

import argparse
import contextlib
import os
import statistics
import time

import beside
import loads
import moments
import where
from record import Record, machine
from rounds import compare, median, ratios
from servers import modules, results
from sites import Site
from workloads import ON_OTHER_MPMS, OTHER_MPMS, WORKLOADS, Workload

PARTS = ("loads", "reloads", "memory", "starts", "mpms", "beside", "where")
HEAD = (
    f"{'workload':37}{'mode':>9}{'mod_wsgi':>9}{'ours':>7}{'ratio':>7}{'spread':>12}{'target':>8}  "
    f"{'rate':>6}{'p50':>6}{'p99':>6}{'p99.9':>6}{'switches':>12}{'failed':>7}"
)


def show(row):
    """A line of the table on the terminal."""
    rounds, targets = row["rounds"], row["targets"]
    figure = "p99" if "cpu" not in rounds[0]["ours"] else "cpu"
    scale = 1 if figure == "cpu" else 1e6
    found = ratios(rounds, figure)
    target = targets.get(figure)
    met = "" if target is None else " +" if statistics.median(found) <= target else " -"
    others = "".join(f"{statistics.median(ratios(rounds, name) or [0]):>6.2f}" for name in ("rate", "p50", "p99", "p999"))
    switches = f"{median(rounds, 'ours', 'switches'):.1f}/{median(rounds, 'mod_wsgi', 'switches'):.1f}"
    failed = "/".join(str(sum(each[name]["failed"] for each in rounds)) for name in ("ours", "mod_wsgi"))
    print(
        f"{row['workload']:37}{row['mode']:>9}{median(rounds, 'mod_wsgi', figure) * scale:>9.0f}{median(rounds, 'ours', figure) * scale:>7.0f}"
        f"{statistics.median(found):>7.2f}{f'{found[0]:.2f}-{found[-1]:.2f}':>12}{f'<={target:.2f}' if target else '':>8}{met:2}"
        f"{others}{switches:>12}{failed:>7}{'' if figure == 'cpu' else '  (p99, us)'}",
        flush=True,
    )


@contextlib.contextmanager
def pair(tested, mode, packages, **more):
    """Both servers."""
    servers = {name: Site(module, mode, packages, **more) for name, module in tested.items()}
    try:
        for server in servers.values():
            server.wait()
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def measure_loads(record, client, tested, options, workloads, mpm):
    for mode in ("daemon", "embedded"):
        for http2 in (False, True):
            chosen = [
                workload
                for workload in workloads
                if mode in workload.modes() and options.only in workload.name and (options.floor or not workload.path.startswith("/floor")) and options.mode in ("", mode) and bool(workload.streams) == http2
                and not record.has(kind="load", workload=workload.name, mode=mode, mpm=mpm)
            ]
            if not chosen:
                continue
            with pair(tested, mode, options.packages, mpm=mpm, http2=http2, floor=options.floor) as servers:
                if not http2 and mpm == "event" and not options.only:
                    measure_noise(record, client, servers, mode, options)
                for workload in chosen:
                    rounds = compare(client, servers, workload, options.rounds, options.seconds)
                    row = {"kind": "load", "workload": workload.name, "mode": mode, "mpm": mpm, "targets": workload.targets[mode]}
                    show(record.add(row | {"limits": workload.limits, "rounds": rounds}))


def measure_noise(record, client, servers, mode, options):
    """mod_wsgi against itself."""
    workload = Workload("mod_wsgi against itself", "/hello", 16)
    rounds = compare(client, {"ours": servers["mod_wsgi"], "mod_wsgi": servers["mod_wsgi"]}, workload, options.rounds, options.seconds)
    row = {"kind": "noise", "workload": workload.name, "mode": mode, "mpm": "event", "targets": {}, "limits": {}}
    show(record.add(row | {"rounds": rounds}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the folder of mod_wsgi.so")
    parser.add_argument("--theirs", required=True, help="the virtual environment, or the file, of mod_wsgi")
    parser.add_argument("--packages", required=True, help="a folder with Flask and Django")
    parser.add_argument("--seconds", type=float, default=0.7, help="of each half of a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--mpm", default="event")
    parser.add_argument("--mode", default="", choices=["", "daemon", "embedded"], help="both unless given")
    parser.add_argument("--only", default="", help="workloads whose name contains this, and nothing else")
    parser.add_argument("--parts", default="", help=f"some of {','.join(PARTS)}; the first four unless given")
    parser.add_argument("--beside", default="", help="a virtual environment with uWSGI, gunicorn and Granian")
    parser.add_argument("--floor", help="the module with the handler in C, without which its rows are left out")
    parser.add_argument("--before", default="", help="the folder of an earlier build of ours, whose time is looked into as well")
    parser.add_argument("--into", help="the file of this run, which is gone on with if it is there")
    options = parser.parse_args()
    options.packages = os.path.realpath(options.packages)
    parts = options.parts.split(",") if options.parts else ["loads"] if options.only else PARTS[:4]
    tested = modules(options.ours, options.theirs)
    client = loads.Client(loads.client(options.ours))
    about = machine(tested)
    record = Record(options.into or os.path.join(results(), time.strftime("%Y-%m-%d-%H%M%S.jsonl")), about)
    print(
        f"{about['system']}, Linux {about['kernel']}, {about['processors']}, load {about['load']}; httpd {about['httpd']}, {options.mpm} MPM, "
        f"Python {about['python']}; {options.rounds} rounds of {options.seconds:g} s, median of ratios (least-largest); CPU in us per request"
    )
    if "loads" in parts:
        print(HEAD)
        measure_loads(record, client, tested, options, WORKLOADS, options.mpm)
    if "reloads" in parts:
        moments.measure_reloads(record, client, tested, options.packages)
    if "memory" in parts:
        moments.measure_memory(record, client, tested, options.packages)
    if "starts" in parts:
        moments.measure_starts(record, tested, options.packages)
    if "mpms" in parts:
        for mpm in OTHER_MPMS:
            print(f"{mpm} MPM")
            measure_loads(record, client, tested, options, [workload for workload in WORKLOADS if workload.name in ON_OTHER_MPMS], mpm)
    if "beside" in parts:
        beside.measure_beside(record, client, tested, options)
    if "where" in parts:
        earlier = {f"ours at {os.path.basename(options.before)}": os.path.join(options.before, "mod_wsgi.so")} if options.before else {}
        where.measure_where(record, client, tested | earlier, options)
    print(f"written to {os.path.relpath(record.path)}")


if __name__ == "__main__":
    main()
