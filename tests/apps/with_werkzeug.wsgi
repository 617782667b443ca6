"""Werkzeug: routing, forms with files, cookies, streams, a file with ranges."""

import os
import tempfile

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

routes = Map([Rule("/", endpoint="home"), Rule("/upload", endpoint="upload", methods=["POST"]), Rule("/stream/<int:lines>", endpoint="stream"),
              Rule("/file", endpoint="file")])
path = os.path.join(tempfile.mkdtemp(), "numbers.txt")
with open(path, "w") as file:
    file.write("0123456789" * 20000)


def home(request):
    answer = Response("Hello %s from %s" % (request.cookies.get("name", "stranger"), request.root_path))
    answer.set_cookie("name", request.args.get("name", "nobody"))
    answer.headers.add("Link", "<a>")
    answer.headers.add("Link", "<b>")
    return answer


def upload(request):
    file = request.files["file"]
    return Response("%s %d %s" % (file.filename, len(file.read()), request.form["title"]))


def stream(request, lines):
    return Response(("line %d\n" % number for number in range(lines)), mimetype="text/plain")


def file(request):
    return send_file(path, request.environ)


@Request.application
def application(request):
    try:
        endpoint, values = routes.bind_to_environ(request.environ).match()
        return globals()[endpoint](request, **values)
    except HTTPException as error:
        return error
