"""An httpd in a folder of its own with one of the modules; what can be asked of it, and what /proc says about its processes."""

import glob
import http.client
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

# What every server here has. A site's own directives follow, so they can say otherwise.
HEAD = """\
Define ROOT {root}
ServerRoot {root}
DefaultRuntimeDir {root}
PidFile {root}/httpd.pid
ErrorLog {root}/error.log
LogLevel warn
ServerName localhost
Listen 127.0.0.1:{port}
LoadModule mpm_{mpm}_module {modules}/mod_mpm_{mpm}.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule alias_module {modules}/mod_alias.so
{user}
MaxKeepAliveRequests 0
<Directory />
    AllowOverride None
</Directory>
<Directory {root}>
    Require all granted
</Directory>
"""

WSGI = """\
LoadModule wsgi_module {module}
WSGISocketPrefix {root}/wsgi
WSGIApplicationGroup %{{GLOBAL}}
"""

HTTPD = ("/usr/sbin/apache2", "/usr/sbin/httpd")
TICKS = os.sysconf("SC_CLK_TCK")

# Whoever ends a measurement wants its servers to end as well.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))


def first(*patterns):
    """The first file that any of the patterns finds."""
    for pattern in patterns:
        for path in sorted(glob.glob(pattern, recursive=True)):
            return path
    sys.exit(f"none of these exists: {', '.join(patterns)}")


def httpd_modules():
    """The folder of httpd's own modules."""
    return os.path.dirname(first("/usr/lib*/apache2/modules/mod_mpm_event.so", "/usr/lib*/httpd/modules/mod_mpm_event.so"))


def modules(ours, theirs=None):
    """The files of our module, from its folder, and of mod_wsgi, from its virtual environment or as named."""
    found = {"ours": os.path.join(ours, "mod_wsgi.so")}
    if theirs:
        found["mod_wsgi"] = first(theirs + "/lib/**/mod_wsgi-py*.so", theirs)
    return found


def results():
    """The folder of what was measured, which is not committed."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
    os.makedirs(folder, exist_ok=True)
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def has_user(name):
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def until(condition, limit, pause=0.02):
    """Whether the condition came true within so many seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause)
    return False


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return not file.read().rpartition(") ")[2].startswith("Z")
    except OSError:
        return False


class Link(str):
    """The path of what is large and stays the same: linked, and not copied."""


class Family:
    """Something that answers on a port: processes that were started here, and all that those have started."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="wsgi-bench-")
        os.chmod(self.root, 0o755)
        self.port = free_port()
        self.mpm = None
        self.started = []
        self.began = time.monotonic()

    def start(self, *command, **more):
        # A session of its own: Ctrl-C is for the command, which stops its servers in order.
        self.began = time.monotonic()
        process = subprocess.Popen(command, start_new_session=True, **more)
        self.started.append(process)
        return process

    def add(self, name, source):
        target = f"{self.root}/{name}"
        if isinstance(source, bytes):
            with open(target, "wb") as file:
                file.write(source)
        elif isinstance(source, Link):
            os.symlink(source, target)
        else:
            shutil.copy(source, target)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def wait(self, path="/hello"):
        """Waits until the URL answers; returns the seconds since the start."""
        if not until(lambda: self.ask(path, 5)[0] == 200, 20, 0.001):
            log = self.log()
            self.stop()
            sys.exit(f"no answer; the log says:\n{log}")
        return time.monotonic() - self.began

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
        return ""

    def descendants(self):
        """What the processes that were started here have started: pid → (parent, command line)."""
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
        roots = {process.pid for process in self.started}
        found = {}
        for pid in known:
            ancestor = pid
            while ancestor in known and ancestor not in roots:
                ancestor = known[ancestor][0]
            if ancestor in roots and pid != ancestor:
                found[pid] = known[pid]
        return found

    def processes(self):
        """The pids of all of them."""
        return [*(process.pid for process in self.started), *self.descendants()]

    def processor_time(self):
        """Seconds that these processes, and those of theirs that have ended, have used so far."""
        total = 0
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rpartition(") ")[2].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15]))
        return total / TICKS

    def switches(self):
        """How often a thread of these processes has given up its processor or lost it. Threads that have ended are not in it."""
        total = 0
        for pid in self.processes():
            for path in glob.glob(f"/proc/{pid}/task/*/status"):
                try:
                    with open(path) as file:
                        total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
                except OSError:
                    continue
        return total

    def memory(self, pids=None):
        """Octets that these processes use together, shared pages counted in parts (PSS)."""
        total = 0
        for pid in pids or self.processes():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
            except OSError:
                continue
        return total

    def stop(self):
        """Stops all, the last started first; the seconds that took, and what is left over after that, by name."""
        mine = {pid: command for pid, (_, command) in self.descendants().items()}
        began = time.monotonic()
        for process in reversed(self.started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        took = time.monotonic() - began
        until(lambda: not any(map(is_alive, mine)), 3)
        left = [command for pid, command in mine.items() if is_alive(pid)]
        for pid in mine:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)
        return took, left


class Server(Family):
    """A running httpd: `config` is added to its own directives, and `files` to its folder, which directives call `${ROOT}`.

    A file's value is the path of what is copied, its content as bytes, or a `Link`.
    """

    def __init__(self, module, config, files, mpm="event"):
        super().__init__()
        self.mpm = mpm
        for name, source in files.items():
            self.add(name, source)
        loads = ""
        if module:
            # Beside its module ours expects two more files, and the server's user has to reach them.
            for name in {os.path.basename(module), "mod_wsgi_python.so", "mod_wsgi_supervisor"}:
                source = os.path.join(os.path.dirname(module), name)
                if os.path.exists(source):
                    self.add(name, source)
            loads = WSGI.format(root=self.root, module=f"{self.root}/{os.path.basename(module)}")
        head = HEAD.format(
            root=self.root,
            port=self.port,
            mpm=mpm,
            modules=httpd_modules(),
            user="User www-data\nGroup www-data" if os.getuid() == 0 and has_user("www-data") else "",
        )
        with open(f"{self.root}/httpd.conf", "w") as file:
            file.write(head + loads + config)
        self.httpd = first(*HTTPD)
        self.process = self.start(self.httpd, "-DFOREGROUND", "-f", f"{self.root}/httpd.conf")

    def log(self):
        try:
            with open(f"{self.root}/error.log", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def said(self, pattern, since=0):
        """The lines of the log that match, from an offset on."""
        return [line for line in self.log()[since:].splitlines() if re.search(pattern, line)]

    def signal(self, number):
        self.process.send_signal(number)

    def children(self):
        """httpd's own children, without those that have become something else."""
        return [pid for pid, (parent, command) in self.descendants().items() if parent == self.process.pid and self.httpd in command]

    def sizes(self, pid=None):
        """Resident KiB, descriptors and threads of the parent, or of another process."""
        proc = f"/proc/{pid or self.process.pid}"
        with open(f"{proc}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["VmRSS"].split()[0]), len(os.listdir(f"{proc}/fd")), int(fields["Threads"])
