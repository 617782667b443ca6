"""Starts threads that outlive the request, one of which the end of the interpreter has to wait for."""
import mod_wsgi
import threading
import time


def write_later(path):
    time.sleep(0.3)
    with open(path, "a") as file:
        file.write(f"{mod_wsgi.application_group}: thread ended\n")


def application(environ, start_response):
    threading.Thread(target=write_later, args=(environ["QUERY_STRING"],), daemon=False).start()
    threading.Thread(target=time.sleep, args=(0.01,), daemon=True).start()
    start_response("200 OK", [])
    return [b"ok"]
