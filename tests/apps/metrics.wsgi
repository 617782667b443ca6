"""Does work that can be counted from outside, and tells what mod_wsgi has counted: a name and a value per line."""

import threading
import time

import mod_wsgi

finished = []


@mod_wsgi.subscribe_events
def note(name, **payload):
    if name == "request_finished":
        finished.append(payload)


def figures(metrics):
    if metrics is None:
        return "None=None\n"
    return "".join(f"{name}={value}\n" for name, value in metrics.items())


def server_metrics_of_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(mod_wsgi.server_metrics()))
    thread.start()
    thread.join()
    return results[0]


def servers(metrics):
    if metrics is None:
        return "None=None\n"
    workers = [worker for process in metrics["processes"] for worker in process["workers"]]
    busy = [worker for worker in workers if worker["status"] == "W"]
    return figures({
        **{name: value for name, value in metrics.items() if name != "processes"},
        "process_keys": " ".join(sorted(metrics["processes"][0])),
        "worker_keys": " ".join(sorted(workers[0])),
        "pids": " ".join(str(process["pid"]) for process in metrics["processes"] if process["pid"]),
        "requests": " | ".join(worker["request"] for worker in busy),
        "statuses": "".join(sorted({worker["status"] for worker in workers})),
    })


def application(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    status, text = "200 OK", "done\n"
    if path == "/start":
        mod_wsgi.start_recording_metrics()
    elif path == "/request":
        text = figures(mod_wsgi.request_metrics())
    elif path == "/process":
        text = figures(mod_wsgi.process_metrics())
    elif path == "/server":
        text = servers(mod_wsgi.server_metrics())
    elif path == "/server-of-a-thread":
        text = servers(server_metrics_of_a_thread())
    elif path == "/last":
        text = figures(finished[-1])
    elif path == "/spin":
        end = time.thread_time() + float(query)
        while time.thread_time() < end:
            pass
    elif path == "/sleep":
        time.sleep(float(query))
    elif path == "/status":
        status = f"{query} Status"
    elif path == "/echo":
        text = f"{len(environ['wsgi.input'].read())}\n"
    elif path == "/write":
        write = start_response(status, [("Content-Type", "text/plain")])
        for _ in range(3):
            write(b"x" * 1000)
        return [b"y" * 500]
    elif path == "/slow-stream":
        start_response(status, [("Content-Type", "text/plain")])
        return stream(float(query))
    body = text.encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def stream(seconds):
    time.sleep(seconds)
    yield b"first\n"
    time.sleep(seconds)
    yield b"second\n"
