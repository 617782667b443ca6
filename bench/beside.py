"""What people would pick instead, each with two processes of fifteen threads, on the same workloads as mod_wsgi and ours.

uWSGI and gunicorn stand behind the same httpd, over a Unix socket; Granian stands alone; a static file of httpd's shows what is left when
nothing is asked of Python.
"""

import os
import statistics

from rounds import compare, median, ratios
from servers import Family, Server, httpd_modules
from sites import APPLICATIONS, HELLO, Site
from workloads import WORKLOADS


CHOSEN = ("hello, 16 connections", "1 KB JSON, 20 request headers", "64 KiB body", "1 MiB generated in 16 KiB blocks")

#: The application at /mixed finds its paths as it does below mod_wsgi's alias.
APPLICATION = b'''"""Both applications on one port."""
import os
import runpy

HERE = os.path.dirname(os.path.abspath(__file__))
HELLO = runpy.run_path(HERE + "/hello.wsgi")["application"]
MIXED = runpy.run_path(HERE + "/mixed.wsgi")["application"]


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/mixed/"):
        environ["PATH_INFO"] = path[6:]
        return MIXED(environ, start_response)
    return HELLO(environ, start_response)
'''

FILES = {f"{name}.wsgi": f"{APPLICATIONS}/{name}.wsgi" for name in ("hello", "mixed")} | {"both.py": APPLICATION}

UWSGI_CONFIG = """
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_uwsgi_module {modules}/mod_proxy_uwsgi.so
ProxyPass / unix:${{ROOT}}/app.sock|uwsgi://localhost/
"""

GUNICORN_CONFIG = """
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
ProxyPass / unix:${{ROOT}}/app.sock|http://localhost/
"""


class Proxied(Server):
    """httpd in front of another server."""

    def __init__(self, config, *command):
        super().__init__(None, config.format(modules=httpd_modules()), FILES)
        os.chmod(self.root, 0o777)
        self.start(*(word.replace("ROOT", self.root) for word in command), cwd=self.root)


class Granian(Family):
    """A server of its own."""

    def __init__(self, folder):
        super().__init__()
        for name, source in FILES.items():
            self.add(name, source)
        words = ("--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "2", "--blocking-threads", "15")
        self.start(f"{folder}/granian", *words, "--no-ws", "--log-level", "error", "both:application", cwd=self.root)


def uwsgi(folder):
    words = ("--master", "--processes", "2", "--threads", "15", "--disable-logging", "--socket", "ROOT/app.sock", "--chmod-socket=666")
    return Proxied(UWSGI_CONFIG, f"{folder}/uwsgi", "--logto", "/dev/null", *words, "--die-on-term", "--wsgi-file", "ROOT/both.py")


def gunicorn(folder):
    words = ("--workers", "2", "--threads", "15", "--umask", "0", "--bind", "unix:ROOT/app.sock", "--log-level", "error")
    return Proxied(GUNICORN_CONFIG, f"{folder}/gunicorn", *words, "both:application")


SERVERS = {"uWSGI behind httpd": uwsgi, "gunicorn behind httpd": gunicorn, "Granian alone": Granian}
EXECUTABLES = {"uWSGI behind httpd": "uwsgi", "gunicorn behind httpd": "gunicorn", "Granian alone": "granian"}


def measure_beside(record, client, tested, options):
    """Each against mod_wsgi in daemon mode, as ours is."""
    print(f"{'instead':26}{'workload':37}{'mod_wsgi':>9}{'this':>7}{'ratio':>7}{'rate':>7}{'p50':>6}{'p99':>6}  (CPU in us per request)")
    reference = Site(tested["mod_wsgi"], "daemon", options.packages)
    try:
        reference.wait()
        # The same path, so that the same workload asks for it.
        static = Server(None, "Alias /hello ${ROOT}/static.txt\n", {"static.txt": HELLO})
        measure_one(record, client, "httpd, static file", static, reference, options, CHOSEN[:1])
        for name, make in SERVERS.items():
            if not os.path.exists(f"{options.beside}/bin/{EXECUTABLES[name]}"):
                print(f"{name}: not installed")
                continue
            measure_one(record, client, name, make(f"{options.beside}/bin"), reference, options, CHOSEN)
    finally:
        reference.stop()


def measure_one(record, client, name, server, reference, options, chosen):
    try:
        server.wait()
        for workload in WORKLOADS:
            if workload.name not in chosen or record.has(kind="beside", name=name, workload=workload.name):
                continue
            rounds = compare(client, {"ours": server, "mod_wsgi": reference}, workload, options.rounds, options.seconds)
            record.add({"kind": "beside", "name": name, "workload": workload.name, "rounds": rounds})
            found = [statistics.median(ratios(rounds, figure) or [0]) for figure in ("cpu", "rate", "p50", "p99")]
            cpu, rate, p50, p99 = found
            print(
                f"{name:26}{workload.name:37}{median(rounds, 'mod_wsgi', 'cpu'):>9.0f}{median(rounds, 'ours', 'cpu'):>7.0f}"
                f"{cpu:>7.2f}{rate:>7.2f}{p50:>6.2f}{p99:>6.2f}",
                flush=True,
            )
    finally:
        server.stop()
