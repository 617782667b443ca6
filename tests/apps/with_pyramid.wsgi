"""Pyramid: views, a session cookie, a redirect, an iterable, a file."""

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import FileResponse, Response
from pyramid.session import SignedCookieSessionFactory


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return Response("visit %d to %s" % (request.session["count"], request.path_url))


def away(request):
    return HTTPFound(location=request.route_url("count"))


def blocks(request):
    return Response(app_iter=iter([b"one ", b"two ", b"three"]), content_type="text/plain")


def script(request):
    return FileResponse(__file__, request=request, content_type="text/x-python")


with Configurator(session_factory=SignedCookieSessionFactory("a secret of this test")) as config:
    for name, view in [("count", count), ("away", away), ("blocks", blocks), ("script", script)]:
        config.add_route(name, "/" + name)
        config.add_view(view, route_name=name)
    application = config.make_wsgi_app()
