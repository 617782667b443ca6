"""A Flask application with a page, a form and an upload."""

from flask import Flask, abort, redirect, request, session, url_for

app = Flask(__name__)
app.secret_key = "change me"


@app.get("/")
def index():
    return f"<p>Hello, {session.get('name', 'stranger')}!</p>"


@app.post("/name")
def name():
    session["name"] = request.form["name"]
    return redirect(url_for("index"))


@app.post("/upload")
def upload():
    data = request.files["file"].read()
    return {"name": request.files["file"].filename, "size": len(data)}


@app.get("/stream")
def stream():
    return app.response_class((f"line {number}\n" for number in range(1000)), mimetype="text/plain")


@app.get("/teapot")
def teapot():
    abort(418)


@app.get("/error")
def error():
    raise RuntimeError("a fault in the application")
