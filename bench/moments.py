"""What happens now and then: new code, restarts, the start; and what is taken of memory."""

import os
import signal
import statistics
import time

from loads import ended
from servers import until
from sites import Site
from workloads import CHILD, COLD_START, IMPORTS, MEMORY, NEW_CODE_AFTER, SLOWER_BY

#: Requests a second while code is replaced: far below what either module can do.
RATE = 200
CALM_SECONDS, SECONDS = 1.5, 4


def new_code(server):
    """Touches the script and waits for an answer of new code: the milliseconds until then, and those that the import took of them, in the
    process in which it took longest: as each has one, and they compute side by side, whoever answers first says little."""
    touched = time.monotonic()
    os.utime(f"{server.root}/reload.wsgi")
    imports = []

    def is_new():
        status, body = server.ask("/reload", 10)
        began, seconds = map(float, body.split()) if status == 200 else (0.0, 0.0)
        imports.extend([seconds] if began > touched else [])
        return began > touched

    if not until(is_new, 10, 0.002):
        return None
    after = time.monotonic() - touched
    # The others' as well.
    until(lambda: not is_new(), 0.1, 0.002)
    return after * 1000, max(imports) * 1000


def disturb(server, client, event):
    """The latencies of an open loop without and with the event, which happens twice."""
    client.run(server.port, "/reload", 8, 0.4, rate=RATE)
    calm = client.run(server.port, "/reload", 8, CALM_SECONDS, rate=RATE)
    running = client.start(server.port, "/reload", 8, SECONDS, rate=RATE)
    waits = []
    time.sleep(0.5)
    for _ in range(2):
        began = time.monotonic()
        if event == "touch":
            waits.append(new_code(server))
        else:
            server.signal(signal.SIGUSR1)
        time.sleep(max(0, began + 1.7 - time.monotonic()))
    return {"calm": calm, "seen": ended(running), "waits": [wait for wait in waits if wait], "unseen": waits.count(None)}


def measure_reloads(record, client, tested, packages):
    print(f"{RATE} requests/s at fixed times; latencies from those times, in ms; new code: longest wait, without the import")
    print(f"{'event':18}{'mode':>9}{'import':>8}{'module':>10}{'p50':>7}{'p99':>8}{'longest':>9}{'calm':>7}{'>50 ms':>8}{'failed':>8}{'new code':>10}")
    for mode, events in (("daemon", ("touch", "graceful restart")), ("embedded", ("graceful restart",))):
        for name, module in tested.items():
            wanted = [(event, seconds) for event in events for seconds in IMPORTS]
            wanted = [(e, s) for e, s in wanted if not record.has(kind="reload", event=e, mode=mode, seconds=s, module=name)]
            if not wanted:
                continue
            server = Site(module, mode, packages)
            try:
                server.wait("/reload")
                for event, seconds in wanted:
                    server.add("import-seconds", str(seconds).encode())
                    row = {"kind": "reload", "event": event, "mode": mode, "seconds": seconds, "module": name}
                    show_reload(record.add(row | disturb(server, client, event)))
            finally:
                server.stop()


def excess(row):
    """The longest time from touch to new code beyond the import, in milliseconds."""
    return max((wait - imported for wait, imported in row["waits"]), default=None)


def slower(row):
    """By how many milliseconds the slowest request was slower than without the event."""
    return (row["seen"]["max"] - row["calm"]["max"]) * 1000


def show_reload(row):
    seen = row["seen"]
    marks = ""
    if row["module"] == "ours" and row["event"] == "touch":
        late = excess(row) is not None and excess(row) > NEW_CODE_AFTER
        marks = f"{' - new code' if late or row['unseen'] else ''}{' - slower' if slower(row) > SLOWER_BY else ''}" or " +"
    print(
        f"{row['event']:18}{row['mode']:>9}{row['seconds']:>8g}{row['module']:>10}{seen['p50'] * 1000:>7.1f}{seen['p99'] * 1000:>8.1f}"
        f"{seen['max'] * 1000:>9.1f}{row['calm']['max'] * 1000:>7.1f}{seen['noticed']:>8}{seen['failed']:>8}"
        f"{'' if excess(row) is None else f'{excess(row):.0f}':>10}{marks}",
        flush=True,
    )


def kinds(server):
    """The processes by what they are, with their memory (PSS)."""
    found = {"httpd": 0, "supervisor": 0, "worker": 0}
    for pid, (_, command) in {server.process.pid: (0, server.httpd), **server.descendants()}.items():
        kind = "httpd" if server.httpd in command else "supervisor" if "supervisor" in command else "worker"
        found[kind] += server.memory([pid])
    return found


def child(server):
    """One of httpd's children: the memory that is its own, and whether it maps a libpython."""
    pid = min(server.children())
    with open(f"/proc/{pid}/smaps_rollup") as file:
        own = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    with open(f"/proc/{pid}/maps") as file:
        return {"own": own, "libpython": "libpython" in file.read()}


def measure_memory(record, client, tested, packages):
    print(f"{'memory, PSS of all processes, MiB':37}{'mod_wsgi':>10}{'ours':>8}{'ratio':>7}{'target':>8}")
    rows = [
        (f"{what}, processes={processes}", "daemon", path, processes, "")
        for what, path in (("hello", "/hello"), ("Django", "/django/"))
        for processes in (1, 4)
    ]
    rows += [("Django, processes=4, preload", "daemon", "/django/", 4, "preload=${ROOT}/django_hello.wsgi"), ("hello, embedded", "embedded", "/hello", 1, "")]
    rows.append(("static file, no module", None, "/static", 1, ""))
    for what, mode, path, processes, more in rows:
        row = {"kind": "memory", "what": what, "target": MEMORY.get(what)}
        if record.has(kind="memory", what=what):
            continue
        for name, module in tested.items():
            if more and name != "ours":
                row[name] = next((r["mod_wsgi"] for r in record.rows if r.get("what") == what.removesuffix(", preload")), None)
                continue
            server = Site(module if mode else None, mode, packages, processes=processes, more=more)
            try:
                server.wait(path)
                client.run(server.port, path, 64, 1.0)
                row[name], row[f"{name} by kind"], row[f"{name} child"] = server.memory(), kinds(server), child(server)
            finally:
                server.stop()
            if not mode:
                break
        show_memory(record.add(row), record)


def show_memory(row, record):
    if "mod_wsgi" not in row:
        print(f"{row['what']:37}{'':>10}{row['ours'] / 2**20:>8.1f}")
        own = next((r["ours child"]["own"] for r in record.rows if r.get("what") == "hello, processes=1"), None)
        if own:
            more = own - row["ours child"]["own"]
            print(f"an httpd child that only forwards has {more} KiB more of its own than one without the module (at most {CHILD})")
        return
    target = row["target"]
    ratio = row["ours"] / row["mod_wsgi"]
    met = "" if not target else " +" if ratio <= target else " -"
    kinds_of = ", ".join(f"{kind} {octets / 2**20:.1f}" for kind, octets in row["ours by kind"].items() if octets)
    print(
        f"{row['what']:37}{row['mod_wsgi'] / 2**20:>10.1f}{row['ours'] / 2**20:>8.1f}{ratio:>7.2f}{f'<={target:.2f}' if target else '':>8}{met}  ({kinds_of})",
        flush=True,
    )


def measure_starts(record, tested, packages, count=4):
    """The time from the start of httpd to the first answer of a daemon."""
    if record.has(kind="start"):
        return
    starts = {name: [] for name in tested}
    for number in range(count):
        for name in list(tested) if number % 2 == 0 else list(reversed(tested)):
            server = Site(tested[name], "daemon", packages)
            starts[name].append(server.wait())
            server.stop()
    record.add({"kind": "start", "starts": starts})
    ours, theirs = (statistics.median(starts[name]) * 1000 for name in ("ours", "mod_wsgi"))
    met = "+" if ours <= COLD_START * theirs else "-"
    print(f"first daemon answer after the start: {ours:.0f} ms ours, {theirs:.0f} ms mod_wsgi ({ours / theirs:.2f}, target <={COLD_START:.2f} {met})")
