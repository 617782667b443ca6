"""Says in every way there is where it is: while it is loaded, in a thread of its own, and in a request."""

import logging
import os
import sys
import threading
import traceback
import warnings

warnings.simplefilter("always")
name = os.path.basename(__file__).partition(".")[0]
wanted = threading.Semaphore(0)
done = threading.Semaphore(0)


def speak(scope):
    def say(how):
        return "%s %s by %s" % (name, scope, how)

    print(say("print"))
    sys.stderr.write(say("stderr") + "\n")
    warnings.warn(say("warning"))
    logging.getLogger("scopes").error(say("logging"))
    try:
        raise ValueError(say("traceback"))
    except ValueError:
        traceback.print_exc()


def in_background():
    while True:
        wanted.acquire()
        speak("background")
        done.release()


speak("import")
threading.Thread(target=in_background, daemon=True).start()


def application(environ, start_response):
    speak("request")
    wanted.release()
    done.acquire()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
