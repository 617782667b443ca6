"""Bottle: routes, JSON, a template, an error page, a static file."""

import os

import bottle

application = bottle.Bottle()


@application.get("/hello/<name>")
def hello(name):
    return bottle.template("<b>Hello {{name}}</b>", name=name)


@application.post("/sum")
def total():
    return {"sum": sum(bottle.request.json["numbers"])}


@application.get("/static/<name>")
def static(name):
    return bottle.static_file(name, root=os.path.dirname(__file__))


@application.get("/lines")
def lines():
    for number in range(3):
        yield "line %d\n" % number


@application.error(404)
def missing(error):
    return "nothing here"
