"""An httpd of the fault suite, in a folder of its own, with two daemon groups and static files; and what can be seen of it."""

import concurrent.futures
import glob
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROCESSES, THREADS = 2, 15

# `good` is what the load asks; `bad` has the hostile applications.
CONFIG = """
ServerRoot {root}
DefaultRuntimeDir {root}
PidFile {root}/httpd.pid
ErrorLog {root}/error.log
LogLevel notice wsgi:info
ServerName localhost
Listen 127.0.0.1:{port}
ListenBacklog 511
GracefulShutdownTimeout 10
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule wsgi_module {module}
{user}
StartServers 2
ServerLimit 16
ThreadsPerChild 25
MaxRequestWorkers 400
MinSpareThreads 25
MaxSpareThreads 100
MaxKeepAliveRequests 0
KeepAliveTimeout 30
Timeout 20
WSGISocketPrefix {root}/wsgi
WSGIRestrictEmbedded On
WSGIApplicationGroup %{{GLOBAL}}
WSGIDaemonProcess good processes={processes} threads={threads} display-name=%{{GROUP}} {good}
WSGIDaemonProcess bad processes=1 threads=5 display-name=%{{GROUP}} deadlock-timeout=3 graceful-timeout=2 shutdown-timeout=2 {bad}
WSGIScriptAlias /good {root}/good.wsgi process-group=good
WSGIScriptAlias /bad {root}/bad.wsgi process-group=bad
Alias /static {root}/static.txt
<Directory {root}>
    Require all granted
</Directory>
"""


def first(*patterns):
    """The first file that any of the patterns finds."""
    for pattern in patterns:
        for path in sorted(glob.glob(pattern, recursive=True)):
            return path
    sys.exit(f"none of these exists: {', '.join(patterns)}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def has_user(name):
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def until(condition, seconds, step=0.01):
    """Waits for a condition; its value, or what it was at the end."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(step)
    return value


class Server:
    """An httpd in a folder of its own."""

    def __init__(self, module, good="", bad=""):
        self.root = tempfile.mkdtemp(prefix="wsgi-faults-")
        os.chmod(self.root, 0o755)
        self.port = free_port()
        # Beside its module ours expects two more files, and the server's user has to reach them.
        for name in {os.path.basename(module), "mod_wsgi_python.so", "mod_wsgi_supervisor"}:
            source = os.path.join(os.path.dirname(module), name)
            if os.path.exists(source):
                shutil.copy(source, self.root)
        for name in ("good", "bad"):
            shutil.copy(f"{HERE}/app.wsgi", f"{self.root}/{name}.wsgi")
        with open(f"{self.root}/static.txt", "w") as file:
            file.write("static\n")
        values = {
            "root": self.root,
            "port": self.port,
            "modules": os.path.dirname(first("/usr/lib*/apache2/modules/mod_mpm_event.so", "/usr/lib*/httpd/modules/mod_mpm_event.so")),
            "module": f"{self.root}/{os.path.basename(module)}",
            "user": "User www-data\nGroup www-data" if os.getuid() == 0 and has_user("www-data") else "",
            "processes": PROCESSES,
            "threads": THREADS,
            "good": good,
            "bad": bad,
        }
        with open(f"{self.root}/httpd.conf", "w") as file:
            file.write(CONFIG.format(**values))
        self.httpd = first("/usr/sbin/apache2", "/usr/sbin/httpd")
        # A session of its own: Ctrl-C is for the suite, which stops httpd in order.
        self.process = subprocess.Popen([self.httpd, "-DFOREGROUND", "-f", f"{self.root}/httpd.conf"], start_new_session=True)
        if not until(lambda: self.ask("/good?hello")[0] == 200, 20, 0.1):
            sys.exit(f"no answer; the log says:\n{self.log()}")

    def ask(self, path, timeout=15):
        """One request over a connection of its own: status and body; the status is 0 when there is no answer."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, answer.read().decode("latin-1")
        except (OSError, http.client.HTTPException) as error:
            return 0, f"{type(error).__name__}"
        finally:
            client.close()

    def log(self):
        with open(f"{self.root}/error.log", errors="replace") as file:
            return file.read()

    def said(self, pattern, since=0):
        """The lines of the log that match, from an offset on."""
        return [line for line in self.log()[since:].splitlines() if re.search(pattern, line)]

    def signal(self, number):
        self.process.send_signal(number)

    def descendants(self):
        """The processes that httpd's parent started, and theirs: pid → (parent, command line)."""
        known = {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as file:
                    head, _, tail = file.read().rpartition(") ")
                with open(path.replace("stat", "cmdline")) as file:
                    command = file.read().replace("\0", " ").strip()
            except OSError:
                continue
            if not tail.startswith("Z"):
                known[int(head.split()[0])] = (int(tail.split()[1]), command)
        found = {}
        for pid in known:
            ancestor = pid
            while ancestor in known and ancestor != self.process.pid:
                ancestor = known[ancestor][0]
            if ancestor == self.process.pid and pid != ancestor:
                found[pid] = known[pid]
        return found

    def workers(self, group="good"):
        return [pid for pid, (_, command) in self.descendants().items() if command.startswith(f"(wsgi:{group})")]

    def supervisors(self):
        return [pid for pid, (_, command) in self.descendants().items() if "supervisor" in command]

    def children(self):
        """httpd's own children."""
        return [pid for pid, (parent, command) in self.descendants().items() if parent == self.process.pid and self.httpd in command]

    def sizes(self, pid=None):
        """Resident KiB, descriptors and threads of the parent, or of another process."""
        proc = f"/proc/{pid or self.process.pid}"
        with open(f"{proc}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["VmRSS"].split()[0]), len(os.listdir(f"{proc}/fd")), int(fields["Threads"])

    def has_capacity(self, group="good", count=PROCESSES * THREADS):
        """Whether as many requests run at the same time as the group has threads."""
        for _ in range(20):
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                answers = list(pool.map(lambda _: self.ask(f"/{group}?hello&sleep=1")[0], range(count)))
            if answers == [200] * count and time.monotonic() - began < 1.9:
                return True
        return False

    def stop(self):
        """Stops httpd; what is left over after that, by name."""
        mine = {pid: command for pid, (_, command) in self.descendants().items()}
        self.signal(signal.SIGTERM)
        began = time.monotonic()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        took = time.monotonic() - began
        until(lambda: not any(map(is_alive, mine)), 3)
        left = [command for pid, command in mine.items() if is_alive(pid)]
        for pid in mine:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)
        return took, left


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return not file.read().rpartition(") ")[2].startswith("Z")
    except OSError:
        return False


class Load:
    """The client's process."""

    def __init__(self, server, rate=300):
        wanted = ["/good?TOKEN", "12", str(rate), "/static", "2", "40"]
        command = [sys.executable, f"{HERE}/client.py", str(server.port), *wanted]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def mark(self):
        """What was seen since the mark before: of the group, of static files."""
        self.process.stdin.write("mark\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)
