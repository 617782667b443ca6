"""The httpd of the comparison: the applications of bench/apps, in embedded mode or in a daemon group."""

import glob
import os

from servers import Server

CONFIG = """
WSGIPythonPath ${{ROOT}}/packages
WSGIScriptAlias /hello ${{ROOT}}/hello.wsgi
WSGIScriptAlias /mixed ${{ROOT}}/mixed.wsgi
WSGIScriptAlias /flask ${{ROOT}}/flask_hello.wsgi
WSGIScriptAlias /django ${{ROOT}}/django_hello.wsgi
{mode}
"""

MODES = {
    "embedded": "",
    "daemon": "WSGIRestrictEmbedded On\nWSGIDaemonProcess bench processes={processes} threads=15 python-path=${{ROOT}}/packages\nWSGIProcessGroup bench",
}

APPLICATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps")
FILES = {"file-1m": 1 << 20, "file-100m": 100 << 20}


class Site(Server):
    """A running one; `packages` is a folder with Flask and Django."""

    def __init__(self, module, mode, packages, processes=2, mpm="event"):
        files = {os.path.basename(path): path for path in glob.glob(f"{APPLICATIONS}/*.wsgi")}
        files |= {name: b"f" * size for name, size in FILES.items()} | {"packages": packages}
        super().__init__(module, CONFIG.format(mode=MODES[mode].format(processes=processes)), files, mpm)
