"""The httpd of the comparison: the applications of bench/apps, in embedded mode or in a daemon group."""

import glob
import os

from servers import Server, httpd_modules

CONFIG = """
WSGIPythonPath ${ROOT}/packages
WSGIScriptAlias /hello ${ROOT}/hello.wsgi
WSGIScriptAlias /mixed ${ROOT}/mixed.wsgi
WSGIScriptAlias /flask ${ROOT}/flask_hello.wsgi
WSGIScriptAlias /django ${ROOT}/django_hello.wsgi
WSGIScriptAlias /reload ${ROOT}/reload.wsgi
Alias /static ${ROOT}/static.txt
"""

GROUP = """
WSGIRestrictEmbedded On
WSGIDaemonProcess bench processes={processes} threads=15 python-path=${{ROOT}}/packages {more}
WSGIProcessGroup bench
"""

HTTP2 = """
LoadModule http2_module {modules}/mod_http2.so
Protocols h2c http/1.1
"""

APPLICATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps")
FILES = {"file-1m": 1 << 20, "file-100m": 100 << 20}
HELLO = b"Hello World!\n"


class Site(Server):
    """A running one; `packages` is a folder with Flask and Django. Without a module it serves static files."""

    def __init__(self, module, mode, packages, processes=2, mpm="event", http2=False, more=""):
        files = {os.path.basename(path): path for path in glob.glob(f"{APPLICATIONS}/*.wsgi")}
        files |= {name: b"f" * size for name, size in FILES.items()}
        files |= {"packages": packages, "static.txt": HELLO, "import-seconds": b"0"}
        config = CONFIG if module else "Alias /static ${ROOT}/static.txt\n"
        if mode == "daemon":
            config += GROUP.format(processes=processes, more=more)
        if http2:
            config += HTTP2.format(modules=httpd_modules())
        super().__init__(module, config, files, mpm)
