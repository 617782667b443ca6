"""Returns a file through wsgi.file_wrapper, as the path and the query string say."""

import io
import os

closed = []


class File(io.FileIO):
    def close(self):
        if not self.closed:
            closed.append(self.name)
        super().close()


def application(environ, start_response):
    wrapper = environ["wsgi.file_wrapper"]
    how = environ["PATH_INFO"].strip("/")
    if how == "closed":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(len(closed)).encode()]
    path = os.path.join(os.path.dirname(__file__), "data.bin")
    headers = [("Content-Type", "application/octet-stream")]
    if how == "memory":
        start_response("200 OK", headers)
        return wrapper(io.BytesIO(b"from memory"), 4)
    if how == "pipe":
        reader, writer = os.pipe()
        os.write(writer, b"from a pipe")
        os.close(writer)
        start_response("200 OK", headers)
        return wrapper(os.fdopen(reader, "rb"))
    file = File(path, "r")
    if how == "offset":
        file.seek(1000)
    if how == "part":
        file.seek(1000)
        headers.append(("Content-Length", "50"))
    if how == "after-write":
        start_response("200 OK", headers)(b"head ")
        return wrapper(file)
    if how == "iterated":
        start_response("200 OK", headers)
        return (block for block in wrapper(file, 1000))
    start_response("200 OK", headers)
    return wrapper(file)
