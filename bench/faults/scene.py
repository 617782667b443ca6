"""The httpd of the fault suite: two daemon groups and static files; and its client."""

import asyncio
import concurrent.futures
import json
import os
import socket
import subprocess
import sys
import threading
import time

from servers import Server, httpd_modules

HERE = os.path.dirname(os.path.abspath(__file__))
PROCESSES, THREADS = 2, 15

CONFIG = """
LogLevel notice
ListenBacklog 511
GracefulShutdownTimeout 10
StartServers 2
ServerLimit 16
ThreadsPerChild 25
MaxRequestWorkers 400
MinSpareThreads 25
MaxSpareThreads 100
KeepAliveTimeout 30
Timeout 20
Alias /static ${ROOT}/static.txt
"""

# `good` is what the load asks; `bad` has the hostile applications.
GROUPS = """
LogLevel notice wsgi:info
WSGIRestrictEmbedded On
WSGIDaemonProcess good processes={processes} threads={threads} display-name=%{{GROUP}} {good}
WSGIDaemonProcess bad processes=1 threads=5 display-name=%{{GROUP}} deadlock-timeout=3 graceful-timeout=2 shutdown-timeout=2 {bad}
WSGIScriptAlias /good ${{ROOT}}/good.wsgi process-group=good
WSGIScriptAlias /bad ${{ROOT}}/bad.wsgi process-group=bad
"""


# What stands in for them where there is no module: another server, which httpd forwards to.
FORWARD = """
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
ProxyPass /good http://127.0.0.1:{port}/
"""


class Backend:
    """A server that takes as long as the application, in this process."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.loop.create_task(asyncio.start_server(self.answer, sock=listener))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def answer(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.005)
            token = head.split()[1].partition(b"?")[2]
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(token), token))
            await writer.drain()
        except (OSError, EOFError):
            # httpd has gone away.
            pass
        finally:
            writer.close()


class Scene(Server):
    """A running one, that answers."""

    def __init__(self, module, good="", bad=""):
        application = f"{HERE}/app.wsgi"
        files = {"good.wsgi": application, "bad.wsgi": application, "static.txt": b"static\n"}
        if module:
            dynamic = GROUPS.format(processes=PROCESSES, threads=THREADS, good=good, bad=bad)
        else:
            dynamic = FORWARD.format(modules=httpd_modules(), port=Backend().port)
        super().__init__(module, CONFIG + dynamic, files)
        self.wait("/good?hello")

    def workers(self, group="good"):
        return [pid for pid, (_, command) in self.descendants().items() if command.startswith(f"(wsgi:{group})")]

    def supervisors(self):
        return [pid for pid, (_, command) in self.descendants().items() if "supervisor" in command]

    def has_capacity(self, group="good", count=PROCESSES * THREADS):
        """Whether as many requests run at the same time as the group has threads."""
        for _ in range(20):
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                answers = list(pool.map(lambda _: self.ask(f"/{group}?hello&sleep=1")[0], range(count)))
            if answers == [200] * count and time.monotonic() - began < 1.9:
                return True
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
