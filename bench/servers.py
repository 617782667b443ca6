"""An httpd with one of the two modules, in a folder of its own, and what it uses: processor time and memory from /proc."""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CONFIG = """
ServerRoot {root}
DefaultRuntimeDir {root}
PidFile {root}/httpd.pid
ErrorLog {root}/error.log
LogLevel warn
ServerName localhost
Listen 127.0.0.1:{port}
LoadModule mpm_{mpm}_module {modules}/mod_mpm_{mpm}.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {module}
{user}
MaxKeepAliveRequests 0
WSGISocketPrefix {root}/wsgi
WSGIApplicationGroup %{{GLOBAL}}
WSGIPythonPath {packages}
WSGIScriptAlias /hello {root}/hello.wsgi
WSGIScriptAlias /mixed {root}/mixed.wsgi
WSGIScriptAlias /flask {root}/flask_hello.wsgi
WSGIScriptAlias /django {root}/django_hello.wsgi
{mode}
<Directory />
    AllowOverride None
</Directory>
<Directory {root}>
    Require all granted
</Directory>
"""

MODES = {
    "embedded": "",
    "daemon": "WSGIRestrictEmbedded On\nWSGIDaemonProcess bench processes={processes} threads=15 python-path={packages}\nWSGIProcessGroup bench",
}

APPLICATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps")


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


class Server:
    """A running httpd; `packages` is a folder with Flask and Django."""

    def __init__(self, module, mode, packages, processes=2, mpm="event"):
        self.root = tempfile.mkdtemp(prefix="wsgi-bench-")
        os.chmod(self.root, 0o755)
        self.port = free_port()
        # Beside its module ours expects two more files, and the server's user has to reach them.
        for name in {os.path.basename(module), "mod_wsgi_python.so", "mod_wsgi_supervisor"}:
            source = os.path.join(os.path.dirname(module), name)
            if os.path.exists(source):
                shutil.copy(source, self.root)
        packages = shutil.copytree(packages, f"{self.root}/packages", symlinks=True)
        for path in glob.glob(f"{APPLICATIONS}/*.wsgi"):
            shutil.copy(path, self.root)
        for name, size in (("file-1m", 1 << 20), ("file-100m", 100 << 20)):
            with open(f"{self.root}/{name}", "wb") as file:
                for _ in range(size >> 16):
                    file.write(b"f" * 65536)
        user = "User www-data\nGroup www-data" if os.getuid() == 0 and has_user("www-data") else ""
        modules = os.path.dirname(first("/usr/lib*/apache2/modules/mod_mpm_event.so", "/usr/lib*/httpd/modules/mod_mpm_event.so"))
        text = CONFIG.format(
            root=self.root,
            port=self.port,
            modules=modules,
            user=user,
            mpm=mpm,
            packages=packages,
            mode=MODES[mode].format(processes=processes, packages=packages),
            module=f"{self.root}/{os.path.basename(module)}",
        )
        with open(f"{self.root}/httpd.conf", "w") as file:
            file.write(text)
        httpd = first("/usr/sbin/apache2", "/usr/sbin/httpd")
        self.process = subprocess.Popen([httpd, "-DFOREGROUND", "-f", f"{self.root}/httpd.conf"])

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def wait(self, path="/hello"):
        """Waits until the URL answers; returns the seconds that took."""
        start = time.monotonic()
        while time.monotonic() < start + 20:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                    client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                    if b" 200 OK" in client.recv(200):
                        return time.monotonic() - start
            except OSError:
                pass
            time.sleep(0.005)
        with open(f"{self.root}/error.log") as log:
            sys.exit(f"no answer; the log says:\n{log.read()}")

    def processes(self):
        """The pids of httpd and its descendants."""
        parents = {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as file:
                    head, _, tail = file.read().rpartition(") ")
            except OSError:
                continue
            parents[int(head.split()[0])] = int(tail.split()[1])
        ours = []
        for pid in parents:
            ancestor = pid
            while ancestor not in (0, self.process.pid):
                ancestor = parents.get(ancestor, 0)
            if ancestor:
                ours.append(pid)
        return ours

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
        return total / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Octets that these processes use together, shared pages counted in parts (PSS)."""
        total = 0
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
            except OSError:
                continue
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.root, ignore_errors=True)
