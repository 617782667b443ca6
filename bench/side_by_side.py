"""Compares our module with mod_wsgi 6.1.1 on one machine in one run: requests per second, and processor time per request.

Both get the same httpd, the same configuration and the same application, a hello world, turn and turn about; the table shows the
median of the rounds. The client (wrk) runs on the same processors, so the rates are those of a whole small machine; the
processor time is that of httpd and the processes that it started, from /proc, without the client's.
"""

import argparse
import glob
import json
import os
import platform
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

APPLICATION = '''
def application(environ, start_response):
    body = b"Hello World!\\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
'''

CONFIG = """
ServerRoot {root}
DefaultRuntimeDir {root}
PidFile {root}/httpd.pid
ErrorLog {root}/error.log
LogLevel warn
ServerName localhost
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {module}
{user}
StartServers 2
ServerLimit 2
ThreadsPerChild 25
MaxRequestWorkers 50
MaxKeepAliveRequests 0
WSGISocketPrefix {root}/wsgi
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {root}/hello.wsgi
{mode}
<Directory {root}>
    Require all granted
</Directory>
"""

MODES = {
    "embedded": "",
    "daemon": "WSGIRestrictEmbedded On\nWSGIDaemonProcess hello processes=2 threads=15\nWSGIProcessGroup hello",
}


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


class Server:
    """An httpd in a folder of its own."""

    def __init__(self, module, mode):
        self.root = tempfile.mkdtemp(prefix="wsgi-bench-")
        os.chmod(self.root, 0o755)
        self.port = free_port()
        # Beside its module ours expects two more files, and the server's user has to reach them.
        for name in {os.path.basename(module), "mod_wsgi_python.so", "mod_wsgi_supervisor"}:
            source = os.path.join(os.path.dirname(module), name)
            if os.path.exists(source):
                shutil.copy(source, self.root)
        with open(f"{self.root}/hello.wsgi", "w") as file:
            file.write(APPLICATION)
        user = "User www-data\nGroup www-data" if os.getuid() == 0 and has_user("www-data") else ""
        modules = os.path.dirname(first("/usr/lib*/apache2/modules/mod_mpm_event.so", "/usr/lib*/httpd/modules/mod_mpm_event.so"))
        text = CONFIG.format(
            root=self.root, port=self.port, modules=modules, user=user, mode=MODES[mode], module=f"{self.root}/{os.path.basename(module)}"
        )
        with open(f"{self.root}/httpd.conf", "w") as file:
            file.write(text)
        httpd = first("/usr/sbin/apache2", "/usr/sbin/httpd")
        self.process = subprocess.Popen([httpd, "-DFOREGROUND", "-f", f"{self.root}/httpd.conf"])

    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def wait(self):
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    if b" 200 OK" in client.recv(200):
                        return
            except OSError:
                pass
            time.sleep(0.1)
        with open(f"{self.root}/error.log") as log:
            sys.exit(f"no answer; the log says:\n{log.read()}")

    def processor_time(self):
        """Seconds that httpd and its descendants have used so far."""
        parents, used = {}, {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as file:
                    head, _, tail = file.read().rpartition(") ")
            except OSError:
                continue
            fields = tail.split()
            pid = int(head.split()[0])
            parents[pid], used[pid] = int(fields[1]), sum(map(int, fields[11:15]))
        total = 0
        for pid in used:
            ancestor = pid
            while ancestor not in (0, self.process.pid):
                ancestor = parents.get(ancestor, 0)
            total += used[pid] if ancestor else 0
        return total / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        shutil.rmtree(self.root, ignore_errors=True)


def has_user(name):
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def load(url, connections, seconds):
    """Requests that wrk had answered, the seconds that took, and the failures."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    requests, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    failures = sum(map(int, re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", text)))
    return int(requests), float(took), failures


def measure(module, mode, connections, seconds):
    server = Server(module, mode)
    try:
        server.wait()
        load(server.url(), connections, 1)
        before = server.processor_time()
        requests, took, failures = load(server.url(), connections, seconds)
        used = server.processor_time() - before
    finally:
        server.stop()
    return {"rate": requests / took, "processor": used / requests * 1e6, "failures": failures}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the folder of mod_wsgi.so")
    parser.add_argument("--theirs", required=True, help="the virtual environment, or the file, of mod_wsgi")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    modules = {
        "ours": os.path.join(options.ours, "mod_wsgi.so"),
        "mod_wsgi": first(options.theirs + "/lib/**/mod_wsgi-py*.so", options.theirs),
    }
    results = {}
    for _ in range(options.rounds):
        for mode in MODES:
            for connections in (1, 20):
                for name, module in modules.items():
                    results.setdefault((mode, connections, name), []).append(measure(module, mode, connections, options.seconds))
    print(f"{platform.platform()}, {os.cpu_count()} processors, {options.rounds} rounds of {options.seconds} s, median")
    print(f"{'mode':10}{'connections':>12}  {'module':10}{'requests/s':>12}{'CPU us/request':>16}{'failures':>10}")
    table = []
    for (mode, connections, name), runs in results.items():
        row = {key: statistics.median(run[key] for run in runs) for key in ("rate", "processor")}
        row["failures"] = sum(run["failures"] for run in runs)
        print(f"{mode:10}{connections:>12}  {name:10}{row['rate']:>12.0f}{row['processor']:>16.1f}{row['failures']:>10}")
        table.append({"mode": mode, "connections": connections, "module": name, **row, "runs": runs})
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, time.strftime("%Y-%m-%d-%H%M%S.json")), "w") as file:
        json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
