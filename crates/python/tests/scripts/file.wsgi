"""Answers with a file wrapper; QUERY_STRING is the path of the file."""
import io


def application(environ, start_response):
    how, _, path = environ["QUERY_STRING"].partition(":")
    wrapper = environ["wsgi.file_wrapper"]
    assert wrapper(None).blksize == 8192
    for arguments, kind in [((1, 2, 3), TypeError), ((None, -1), ValueError)]:
        try:
            wrapper(*arguments)
        except kind:
            pass
        else:
            raise AssertionError(arguments)

    class Wrapper(wrapper):
        def close(self):
            super().close()
            print("file closed:", self.filelike.closed)

    headers = [("Content-Length", "7")] if how == "length" else []
    start_response("200 OK", headers)
    if how == "memory":
        return Wrapper(io.BytesIO(b"x" * 20000), 1024)
    file = open(path, "rb")
    if how == "offset":
        file.read(5)
    result = Wrapper(file, blksize=4096)
    assert result.filelike is file and result.blksize == 4096
    return result
