"""Checks the environ of a request with the driver's usual head."""
import sys


def application(environ, start_response):
    assert type(environ) is dict
    assert environ["wsgi.version"] == (1, 0) and environ["mod_wsgi.version"] == (6, 1, 1)
    assert environ["apache.version"] == (2, 4, 71)
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["wsgi.multithread"] is True and environ["wsgi.multiprocess"] is False and environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert environ["mod_wsgi.thread_id"] >= 1
    assert environ["mod_wsgi.request_start"] == 1234567.5 and environ["mod_wsgi.queue_start"] == 0.0
    assert environ["mod_wsgi.application_start"] > 1e9
    assert environ["HTTP_X_LATIN"] == "caf\xe9"
    assert environ["DOCUMENT_ROOT"] == "/srv/caf\xe9"
    assert environ["REPEATED"] == "second"
    assert sys.argv == ["mod_wsgi"]
    start_response("200 OK", [])
    return [b"ok"]
