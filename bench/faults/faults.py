"""The faults of the suite. Each is a function of a running server; what it returns stands beside its row in the table."""

import os
import random
import signal
import statistics
import sys
import time

from servers import until
from sizes import Sizes


# Touches after which a server has its size: what is more at the end has grown.
SETTLED = 250


class Fault:
    """A row of the table.

    `quick` and `full` are how often or how long it is injected, `theirs` for how much of the full form mod_wsgi gets; `pace` is the
    seconds that one of these takes. Where httpd itself may lose something, it is looked at without any module as well.
    """

    def __init__(self, name, inject, quick, full, good="", bad="", theirs=None, pace=1.0, only=(), plain=False):
        self.name, self.inject, self.quick, self.full = name, inject, quick, full
        self.good, self.bad, self.theirs, self.pace, self.only, self.plain = good, bad, theirs or full, pace, only, plain

    def concerns(self, module):
        """Whether there is a row for a module: `ours`, `mod_wsgi`, or `httpd` without either."""
        return self.plain if module == "httpd" else not self.only or module in self.only

    def amount(self, module, is_full):
        if not is_full:
            return self.quick
        return self.full if module == "ours" else self.theirs

    def seconds(self, module, is_full):
        """How long a row takes, roughly: with the start, the calm before, and the end."""
        return 20 + self.amount(module, is_full) * self.pace


#: Seconds from one touch to the next, at least: in the table as long as mod_wsgi takes for one, and as short as it gets in a soak, which is to end.
PAUSE, PAUSE_OF_SOAK = 1.0, 0.05


def touches(server, count, pause=PAUSE, minutes=None):
    """Touches the script; waits until a new process answers, which is the time that an edit takes to be seen.

    Where that takes long, as in a soak, it says now and then how far it is, and may end after some minutes.
    """
    waits, unseen, then = [], 0, None
    started = time.monotonic()
    for turn in range(count):
        if minutes and time.monotonic() > started + 60 * minutes:
            count = turn
            break
        if turn == min(count // 4, SETTLED):
            then = Sizes.of(server)
        elif then and turn % SETTLED == 0:
            print(f"{turn} touches in {time.monotonic() - started:.0f} s; {Sizes.of(server).since(then)}", file=sys.stderr, flush=True)
        old = set(server.workers())
        began = time.monotonic()
        os.utime(f"{server.root}/good.wsgi")
        fresh = until(lambda: answering(server) not in old | {None}, 5)
        if fresh:
            waits.append(time.monotonic() - began)
        unseen += not fresh
        # Whoever is faster is not to be touched more often: each touch starts an interpreter, which takes its share of the processors.
        time.sleep(max(0.05, began + pause - time.monotonic()))
    seen = f"new code after {1000 * statistics.median(waits):.0f} ms (at most {1000 * max(waits):.0f})" if waits else "never seen"
    # Those of the generation before have ended.
    time.sleep(1)
    grown = Sizes.of(server).since(then) if then else "too few to tell what grows"
    return f"{count} touches: {seen}" + (f", {unseen} not within 5 s" if unseen else "") + f"; {grown}"


def answering(server):
    """The process that answers now, if one does."""
    status, body = server.ask("/good?hello")
    words = body.split()
    return int(words[1]) if status == 200 and len(words) == 2 else None


def restarts(number, pause):
    def inject(server, count):
        then = None
        for turn in range(count):
            server.signal(number)
            time.sleep(pause)
            if turn == max(1, count // 4):
                then = Sizes.of(server)
        # Children of the old generations finish.
        time.sleep(2)
        return Sizes.of(server).since(then)

    return inject


def kills(find, pause):
    """Kills somebody at random, again and again."""

    def inject(server, seconds):
        chance = random.Random(1)
        killed = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            victims = find(server)
            if victims:
                try:
                    os.kill(chance.choice(victims), signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass
            time.sleep(pause)
        named = len(server.said(r"(502|WSGI0\d+).*(killed by|was ended by|terminated by).*(SIGKILL|signal 9)|exit signal Killed"))
        return f"{killed} killed, {named} lines name SIGKILL"

    return inject


def wait(server, seconds):
    """Nothing but the load: what happens is in the configuration."""
    before = len(set(server.workers()))
    seen = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen.update(server.workers())
        time.sleep(0.05)
    return f"{len(seen)} processes have served" if before else "nobody serves"


def hostile(what, named, then=None):
    """Requests that make a process of the group `bad` misbehave, while the load asks `good`."""

    def inject(server, seconds):
        end = time.monotonic() + seconds
        answers = {}
        since = len(server.log())
        first = server.workers("bad")
        while time.monotonic() < end:
            status, _ = server.ask(f"/bad?{what}", timeout=8)
            answers[status or "none"] = answers.get(status or "none", 0) + 1
            time.sleep(0.2)
        text = then(server, first) if then else ""
        back = until(lambda: server.ask("/bad?hello", timeout=3)[0] == 200, 10, 0.1)
        seen = " ".join(f"{status}x{count}" for status, count in answers.items())
        lines = server.said(named, since)
        return f"{seen}; {'serves again' if back else 'DOES NOT SERVE'}; {len(lines)} log lines name it{text}"

    return inject


def replaced(server, old):
    """A process that listens to no signal has to go when its script changes."""
    began = time.monotonic()
    os.utime(f"{server.root}/bad.wsgi")
    server.ask("/bad?hello")
    gone = until(lambda: not set(old) & set(server.workers("bad")), 10, 0.05)
    return f"; {f'gone {time.monotonic() - began:.1f} s after a touch' if gone else 'STILL THERE 10 s after a touch'}"


def killed_with_children(server, old):
    """What a process has forked must not keep its requests and sockets alive."""
    for pid in server.workers("bad"):
        if pid in old:
            os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    back = until(lambda: server.ask("/bad?hello", timeout=3)[0] == 200, 10, 0.05)
    return f"; {f'answered {time.monotonic() - began:.1f} s after a kill' if back else 'NO ANSWER after a kill'}"


LIMIT = "memory-limit=300000000"

FAULTS = [
    Fault("touch the script", touches, 50, 1000, theirs=50, pace=PAUSE),
    Fault("graceful restart", restarts(signal.SIGUSR1, 0.4), 20, 200, theirs=50, pace=0.4),
    Fault("restart", restarts(signal.SIGHUP, 1.0), 5, 50, theirs=20, plain=True),
    Fault("kill -9 a worker", kills(lambda server: server.workers(), 0.3), 10, 60, theirs=20),
    Fault("kill -9 the supervisor", kills(lambda server: server.supervisors(), 1.5), 5, 30, only=("ours",)),
    Fault("kill -9 an httpd child", kills(lambda server: server.children(), 1.0), 6, 20, theirs=10),
    Fault("maximum-requests=50", wait, 5, 60, theirs=20, good="maximum-requests=50"),
    Fault("leaks 20 MiB a request", hostile("leak", "MemoryError|memory"), 6, 10, bad=LIMIT),
    Fault("allocates until the limit", hostile("allocate", "MemoryError|memory"), 4, 8, bad=LIMIT),
    Fault("spins with the GIL held", hostile("spin", "deadlock|Deadlock"), 6, 12),
    Fault("ignores SIGTERM", hostile("ignore", "WSGI0321|killing it", replaced), 2, 4),
    Fault("closes its descriptors", hostile("close_all", "closed the connection|ended by|WSGI0146|WSGI0147|has died"), 4, 8),
    Fault("forks children", hostile("fork", "SIGKILL|ended by|terminated by", killed_with_children), 2, 4),
    Fault("os._exit(3)", hostile("leave", "status 3|exit.*3"), 4, 8),
    Fault("segmentation fault", hostile("crash", "SIGSEGV|Segmentation|signal 11"), 4, 8),
]
