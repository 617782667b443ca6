"""Answers with its environ's essence; counts its requests in a global."""
import mod_wsgi

count = 0


def application(environ, start_response):
    global count
    count += 1
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Group", mod_wsgi.application_group), ("X-Count", str(count))])
    return [b"hello ", environ["PATH_INFO"].encode("latin-1")]
