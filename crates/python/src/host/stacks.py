"""Tells what the threads of an interpreter are doing.

Executed with these globals: `only` (the ident of a thread, or None for all but the calling one); leaves `lines`, a list of str.
"""

import sys
import threading
import traceback


def tell(thread, frame):
    """Give the lines of one thread."""
    # Not threading.enumerate(): its lock may be held by whoever does not go on.
    known = dict(getattr(threading, "_active", {})).get(thread)
    name = known.name if known is not None else "unknown"
    told = [f"Thread {name} ({thread}), most recent call last:"]
    for entry in traceback.format_stack(frame):
        told.extend(entry.rstrip().splitlines())
    return told


lines = []
if getattr(sys, "_is_gil_enabled", lambda: True)():
    for thread, frame in sys._current_frames().items():
        if thread == only if only is not None else thread != threading.get_ident():
            lines.extend(tell(thread, frame))
else:
    # The frames of threads that go on meanwhile may not be looked at.
    lines.append("The stacks of other threads cannot be told while Python runs without its lock (WSGIFreeThreading).")
