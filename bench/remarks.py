"""What stands in the way of a target that is missed, and what was tried: by workload and mode, for the page that shows it."""

IMPORTS = (
    "Both workers start and import at once, and take over together, so that neither the old code's capacity nor a second import is missed. "
    "The start of two interpreters is some 35 ms; and two imports that compute, on two processors that go on serving, do not end at the same moment."
)

CONNECTIONS = (
    "Most of it is httpd's: each of its children wakes for each new connection, and the static file in the table costs nearly as much. To answer without "
    "a flush, so that data and end leave in one packet, was tried: no difference."
)

HAND_OVER = (
    "More than half is spent where httpd's listener hands a connection to a thread and gets it back, and in the write to the socket: a static file costs the "
    "same or more. Ours and Python's together are a quarter. To schedule httpd's threads as SCHED_BATCH took a quarter off all of it."
)

STREAM = (
    "A block that is on the wire at once is a send of its own, and nine tenths of that is the kernel's. mod_wsgi holds blocks back for a moment and writes to "
    "the client some eight times for a thousand of them, ours some 260 times. One send(2) instead of sendmsg(2) with four parts took a twentieth off; "
    "memory shared with httpd would help, at the price of a second way for octets."
)

INTERPRETER = (
    "An interpreter that has imported nothing is nearly half of such a worker, what `threading` and `signal` import a fifth. Fewer heaps of malloc(3), and a "
    "start without importlib.util, took 5 to 10 % off."
)

COPIES = "python3 that imports Django and serves nothing takes as much as a worker: only sharing helps, which is what `preload=` does."

COUNTS = (
    "Each worker writes to the pages in which the reference counts of what it executes stand, and so gets its own. gc.freeze() before the fork is used; "
    "Python 3.12 and later count less."
)

REMARKS = {
    ("touch, import of 0 s", "daemon"): IMPORTS,
    ("touch, import of 0.5 s", "daemon"): IMPORTS,
    ("hello, connection: close", "daemon"): CONNECTIONS,
    ("hello, connection: close", "embedded"): CONNECTIONS,
    ("hello, 16 connections", "embedded"): HAND_OVER,
    ("hello, 200 connections", "embedded"): HAND_OVER,
    ("1 KB JSON, 20 request headers", "embedded"): HAND_OVER,
    ("64 KiB body", "embedded"): HAND_OVER,
    ("20 ms of sleep, 64 clients", "embedded"): HAND_OVER,
    ("1,000 small streamed blocks", "daemon"): STREAM,
    ("hello, processes=4", "memory"): INTERPRETER,
    ("Django, processes=4", "memory"): COPIES,
    ("Django, processes=4, preload", "memory"): COUNTS,
}
