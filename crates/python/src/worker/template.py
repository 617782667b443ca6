"""Asks whether this process may be forked, or prepares it for that.

Executed on the main thread. Sets `threads`: the names of those that would be missing in the new process.
"""

import gc
import os
import sys
import threading

known = {thread.native_id: thread.name for thread in threading.enumerate()}
threads = []
for task in os.listdir("/proc/self/task"):
    if int(task) != os.getpid():
        with open(f"/proc/self/task/{task}/comm") as comm:
            threads.append(known.get(int(task)) or f"{comm.read().strip()} (a thread of an extension module, id {task})")

if not threads:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # What is there now is there for good: collections that looked at it would write to each page of it, in each process.
    gc.collect()
    gc.freeze()
