"""Shows in which process and interpreter it runs and what it found there, a line per fact: name=value."""

import locale
import os
import sys

import mod_wsgi

count = 0
loaded_in = os.getpid()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return oct(mask)


def answer(environ, start_response, **more):
    global count
    count += 1
    facts = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": sorted(os.getgroups()),
        "umask": umask(),
        "policy": os.sched_getscheduler(0),
        "nice": os.nice(0),
        "cwd": os.getcwd(),
        "HOME": os.environ.get("HOME"),
        "LANG": os.environ.get("LANG"),
        "LC_ALL": os.environ.get("LC_ALL"),
        "locale": locale.setlocale(locale.LC_CTYPE),
        "count": count,
        "loaded_in": loaded_in,
        "name": __name__,
        "file": __file__,
        "argv": sys.argv,
        "path": sys.path,
        "prefix": sys.prefix,
        "version": sys.version_info[:2],
        "process_group": mod_wsgi.process_group,
        "application_group": mod_wsgi.application_group,
        "environ_process_group": environ["mod_wsgi.process_group"],
        "environ_application_group": environ["mod_wsgi.application_group"],
        "processes": mod_wsgi.maximum_processes,
        "threads": mod_wsgi.threads_per_process,
        "script": environ["SCRIPT_NAME"],
        "path_info": environ["PATH_INFO"],
        "callable": environ["mod_wsgi.callable_object"],
        "authorization": environ.get("HTTP_AUTHORIZATION"),
        **more,
    }
    body = "".join(f"{name}={value}\n" for name, value in facts.items()).encode("utf-8", "surrogateescape")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def application(environ, start_response):
    return answer(environ, start_response, called="application")


def other(environ, start_response):
    return answer(environ, start_response, called="other")


def application_failing(environ, start_response):
    raise RuntimeError("the wrong callable")
