"""Uses at once everything that has state in the host, and says what was not as it has to be: many threads do so side by side."""

import io
import logging
import sys
import threading

import mod_wsgi

VERSION = 1

counts = {}
lock = threading.Lock()
logger = logging.getLogger("of the races")
logger.propagate = False
logger.addHandler(mod_wsgi.LogHandler())
mod_wsgi.start_recording_metrics()


def count(name, more=1):
    with lock:
        counts[name] = counts.get(name, 0) + more


@mod_wsgi.subscribe_events
def note(name, **payload):
    if "token" in payload.get("request_data", {}):
        count(name)
    return {f"seen_{name}": True}


def metered():
    """The requests that were measured since somebody asked last, which is an interval of the whole process."""
    metrics = mod_wsgi.request_metrics()
    times = sum(metrics["application_time_buckets"])
    return metrics["request_count"], times == metrics["request_count"] == sum(metrics["request_threads_completed"])


def problems(environ, start_response):
    token = environ["HTTP_X_TOKEN"]
    heard, wrong = [], []

    def hear(name, **payload):
        if payload["request_data"].get("token") == token:
            heard.append(name)
            if not payload.get(f"seen_{name}"):
                wrong.append(f"the payload of {name} lacks what an earlier callback has added")

    def check(is_right, what):
        if not is_right:
            wrong.append(what)

    data = mod_wsgi.request_data()
    check(data == {}, f"a request begins with the data {data}")
    data["token"] = token
    own = [other for other in list(mod_wsgi.active_requests.values()) if other.get("token") == token]
    check(len(own) == 1 and own[0] is data, "active_requests is wrong")

    mod_wsgi.subscribe_events(hear)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Token", token)])
    mod_wsgi.event_callbacks.remove(hear)
    check(heard == ["response_started"], f"heard {heard}")

    check(mod_wsgi.application_group == environ["mod_wsgi.application_group"], "in another group")
    check(environ["QUERY_STRING"] == f"token={token}" and environ["HTTP_X_TWICE"] == token * 2, "the environ is another request's")
    check(environ["wsgi.input"].read() == token.encode() * 100, "the input is another request's")
    wrapper = environ["wsgi.file_wrapper"](io.BytesIO(token.encode()))
    check(b"".join(wrapper) == token.encode(), "the file wrapper gives something else")

    process = mod_wsgi.process_metrics()
    check(process["active_requests"] >= 1 and process["pid"] > 0, "process_metrics() are wrong")
    if mod_wsgi.application_group == "":
        requests, fits = metered()
        check(fits, "request_metrics() do not fit together")
        count("metered", requests)
    logger.warning("logged %s in %s", token, mod_wsgi.application_group)
    environ["wsgi.errors"].write(f"written {token}\n")
    print("printed", token)
    return wrong


def application(environ, start_response):
    if environ["PATH_INFO"] == "/counts":
        count("metered", metered()[0])
        locked = getattr(sys, "_is_gil_enabled", lambda: True)()
        start_response("200 OK", [])
        return [f"{name}={value}\n".encode() for name, value in {**counts, "locked": locked}.items()]
    wrong = problems(environ, start_response)
    # Each block comes from a generator, so that other threads get between.
    return (f"{text}\n".encode() for text in [f"version {VERSION}", *wrong])
