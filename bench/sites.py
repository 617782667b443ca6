"""The httpd of the comparison: the applications of bench/apps, in embedded mode or in a daemon group."""

import atexit
import functools
import glob
import os
import shutil
import tempfile

from servers import Link, Server, httpd_modules

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


@functools.cache
def shared(packages):
    """A folder with what all servers use, where the server's user can reach it, until this program ends."""
    folder = tempfile.mkdtemp(prefix="wsgi-bench-shared-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    shutil.copytree(packages, f"{folder}/packages", symlinks=True)
    for name, size in FILES.items():
        with open(f"{folder}/{name}", "wb") as file:
            for _ in range(size >> 16):
                file.write(b"f" * 65536)
    return folder


FLOOR = """
LoadModule floor_module {floor}
<Location /floor>
    SetHandler floor
</Location>
"""


class Site(Server):
    """A running one; `packages` is a folder with Flask and Django, `floor` the handler in C. Without a module it serves static files."""

    def __init__(self, module, mode, packages, processes=2, mpm="event", http2=False, more="", floor=None):
        files = {os.path.basename(path): path for path in glob.glob(f"{APPLICATIONS}/*.wsgi")}
        files |= {name: Link(f"{shared(packages)}/{name}") for name in ("packages", *FILES)}
        files |= {"static.txt": HELLO, "import-seconds": b"0"}
        config = CONFIG if module else "Alias /static ${ROOT}/static.txt\n"
        if mode == "daemon":
            config += GROUP.format(processes=processes, more=more)
        if floor:
            config += FLOOR.format(floor=floor)
        if http2:
            config += HTTP2.format(modules=httpd_modules())
        super().__init__(module, config, files, mpm)
