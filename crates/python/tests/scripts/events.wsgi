"""Subscribes to everything, and writes down the end of the process."""
import atexit
import mod_wsgi
import threading

seen = []
PATH = None


@mod_wsgi.subscribe_events
def remember(name, **payload):
    if name == "process_stopping":
        return None
    seen.append((name, payload))
    if name == "request_started":
        payload["request_data"]["mark"] = "set by the event"
        return {"application_object": replacement}


@mod_wsgi.subscribe_events
def broken(name, **payload):
    if name == "response_started":
        raise ValueError("in a callback")


@mod_wsgi.subscribe_shutdown
def stopping(name, shutdown_reason):
    note(f"{name} '{shutdown_reason}'")


def note(text):
    with open(PATH, "a") as file:
        file.write(f"{mod_wsgi.application_group}: {text}\n")


atexit.register(note, "atexit")
release = threading.Event()
atexit.register(release.set)
threading.Thread(target=lambda: None).start()


def application(environ, start_response):
    raise AssertionError("replaced by the event")


def replacement(environ, start_response):
    global PATH
    PATH = environ["QUERY_STRING"] or PATH
    assert mod_wsgi.request_data() == {"mark": "set by the event"}
    assert mod_wsgi.active_requests == {environ["mod_wsgi.request_id"]: mod_wsgi.request_data()}
    names = [name for name, _ in seen]
    if len(names) == 1:
        assert names == ["request_started"]
    else:
        assert names == ["request_started", "response_started", "request_finished", "request_started"], names
        finished = seen[2][1]
        assert finished["status"] == 200 and finished["output_length"] == 2 and finished["output_writes"] >= 1
        assert finished["request_id"] == "request-id"
        raised = []
        threading.Thread(target=lambda: raised.append(outside())).start()
        while not raised:
            pass
        assert raised == ["no active request for thread"]
    start_response("200 OK", [])
    return [b"ok"]


def outside():
    try:
        mod_wsgi.request_data()
    except RuntimeError as error:
        return str(error)
