"""What was measured, kept row by row as lines of JSON, so that a run that was interrupted goes on where it stopped."""

import hashlib
import json
import os
import platform
import re
import subprocess
import time

from servers import HTTPD, first


def machine(tested):
    """What the figures depend on. `build` tells whether two runs measured the same modules."""
    digest = hashlib.sha256()
    for module in tested.values():
        folder = os.path.dirname(module)
        for name in (os.path.basename(module), "mod_wsgi_python.so", "mod_wsgi_supervisor"):
            if os.path.exists(f"{folder}/{name}"):
                with open(f"{folder}/{name}", "rb") as file:
                    digest.update(file.read())
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    httpd = subprocess.run([first(*HTTPD), "-v"], capture_output=True, text=True).stdout
    return {
        "kind": "machine",
        "build": digest.hexdigest(),
        "date": time.strftime("%Y-%m-%d"),
        "processors": f"{os.cpu_count()} x {model.group(1) if model else platform.machine()}",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "httpd": re.search(r"Apache/([\d.]+)", httpd).group(1),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


class Record:
    """The file of one run. Without a path nothing is taken up again."""

    def __init__(self, path, about):
        self.path = path
        self.rows = read(path) if os.path.exists(path) else []
        if not self.rows or self.rows[0].get("build") != about["build"]:
            self.rows = []
            with open(path, "w"):
                pass
            self.add(about)

    def has(self, **key):
        return any(all(row.get(name) == value for name, value in key.items()) for row in self.rows)

    def add(self, row):
        self.rows.append(row)
        with open(self.path, "a") as file:
            file.write(json.dumps(row) + "\n")
        return row


def read(path):
    rows = []
    with open(path) as file:
        for line in file:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                # The line at which the run before was interrupted.
                break
    return rows
