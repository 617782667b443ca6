"""Imports two modules and shows where sys.path begins."""

import sys

import first
import second

assert first.where == second.where == "on the path"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["".join(f"{entry}\n" for entry in sys.path[:2]).encode()]
