"""Falcon: resources, media, a bounded stream, an error of its own."""

import falcon


class Things:
    def on_get(self, request, response, number):
        response.media = {"number": number, "query": request.params, "host": request.forwarded_host}

    def on_put(self, request, response, number):
        response.media = {"length": len(request.bounded_stream.read())}
        response.status = falcon.HTTP_201

    def on_delete(self, request, response, number):
        raise falcon.HTTPConflict(title="in use")


application = falcon.App()
application.add_route("/things/{number:int}", Things())
