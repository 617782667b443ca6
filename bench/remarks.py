"""What stands in the way of a target that is missed, and what was tried: by workload and mode, for the page that shows it."""

NEW_CODE = (
    "The interpreter of a new generation takes some 25 ms to start, alone on a processor, and the imports of two workers that compute, on two processors "
    "that go on serving, do not end at the same moment."
)

CONNECTIONS = (
    "A new connection wakes a thread of each of httpd's children, of which one gets it, and is closed in steps. That is the handler in C as well, which calls no Python "
    "and no other process. To answer without a flush, so that data and end leave in one packet, was tried: no difference."
)

HAND_OVER = (
    "What the handler in C takes is the kernel's and httpd's: the listener hands a connection to a thread and gets it back, and the answer is written. Above "
    "that are the environ, the interpreter's lock, the checks of PEP 3333, counters and timers. SCHED_BATCH for httpd's threads takes between "
    "nothing (16 connections) and an eighth (Django) off; to spin before sleeping for the interpreter's lock, and to bind all code of the module into one (LTO), nothing that could "
    "be told from noise. To let a thread wait for the next request on its connection for a millisecond, past the listener, was tried: 0.03 less with 16 connections, 0.12 more with 200."
)

HEADERS = HAND_OVER + " Twenty headers are forty strings, made by httpd, by us and by Python."

SLEEP = (
    "Each of these requests gives the interpreter's lock away and takes it back, and its thread sleeps once more than for hello; CPython wakes one thread for each. "
    "That is the same code in both modules."
)

FRAMEWORK = (
    "Most of it is the framework's own Python, which costs the same in both modules: see below for where it goes. A request that finds the interpreter's lock taken waits in line "
    "for it, which is a switch more. To leave it unread until a thread has finished, so that no other one waits, was built and taken out again: 6.7 switches a request of Django instead of "
    "7.1, and no less CPU (Flask: more)."
)

BESIDE = (
    "Two interpreters have 16 requests of 2 ms before them, and a request waits for its turn: the order is strict already. The rounds lie further apart than what is missing."
)

TURNS = (
    "Nine tenths of the processor time is the 2 ms of Python, which are the same in both modules. Each of 64 clients waits for 32 turns of 2 ms of one of two interpreters. Ours has the turns in order, so its p50 and p99 lie near each other, where mod_wsgi's p99 varies from run "
    "to run by more than what is missing."
)

BLOCKS = (
    "Four fifths are the kernel's, which copies a MiB to the socket; both modules write it with 64 writev(2), counted with strace. Between the blocks the interpreter's lock "
    "is given away and taken back, so that other requests go on. Without SCHED_BATCH: no difference."
)

PASSED_ON = (
    "Nearly nine tenths are the kernel's, which copies each block into the socket between worker and httpd, out of it, and into the client's. Other runs, also those of this "
    "page, are on the other side of the target."
)

UPLOAD = (
    "What is read comes through httpd's input filters into one buffer of Python's. The rounds lie further apart than what is missing."
)

STREAM = (
    "A block that is on the wire at once is a send of its own, and nine tenths of that is the kernel's. mod_wsgi holds blocks back for a moment and writes to "
    "the client some eight times for a thousand of them. One send(2) instead of sendmsg(2) with four parts took a twentieth off, SCHED_BATCH for httpd's threads "
    "nearly half."
)

INTERPRETER = (
    "An interpreter that has imported nothing is nearly half of such a worker. Workers are forked from one, which took a quarter off; "
    "fewer heaps of malloc(3), and a start without importlib.util and signal, took 5 to 10 % off."
)

COPIES = (
    "python3 that imports Django and serves nothing takes as much as a worker. That workers are forked from one interpreter took 2 % off, since an import writes to most of "
    "its pages; buffers without zeros in them, and no memory for connections that do not exist, took another 2 % off; malloc_trim(3) and malloc(3)'s other options, nothing. What "
    "helps is `preload=`."
)

COUNTS = (
    "Each worker writes to the pages in which the reference counts of what it executes stand, and so gets its own. gc.freeze() before "
    "the fork is used, and the template ends when all workers are there. Python 3.12 and later count less."
)

REMARKS = {
    ("touch, import of 0 s", "daemon"): NEW_CODE,
    ("touch, import of 0.5 s", "daemon"): NEW_CODE,
    ("hello, connection: close", "daemon"): CONNECTIONS,
    ("hello, connection: close", "embedded"): CONNECTIONS,
    ("hello, 16 connections", "embedded"): HAND_OVER,
    ("hello, 200 connections", "embedded"): HAND_OVER,
    ("1 KB JSON, 20 request headers", "daemon"): HEADERS,
    ("1 KB JSON, 20 request headers", "embedded"): HEADERS,
    ("64 KiB body", "embedded"): HAND_OVER,
    ("Flask hello", "daemon"): FRAMEWORK,
    ("Flask hello", "embedded"): FRAMEWORK,
    ("Django hello", "daemon"): FRAMEWORK,
    ("Django hello", "embedded"): FRAMEWORK,
    ("1 MiB generated in 16 KiB blocks", "daemon"): PASSED_ON,
    ("1 MiB generated in 16 KiB blocks", "embedded"): BLOCKS,
    ("POST 1 MiB, read whole", "embedded"): UPLOAD,
    ("20 ms of sleep, 64 clients", "embedded"): SLEEP,
    ("2 ms of pure Python, 64 clients", "daemon"): TURNS,
    ("hello while 16 others run 2 ms each", "daemon"): BESIDE,
    ("1,000 small streamed blocks", "daemon"): STREAM,
    ("hello, processes=4", "memory"): INTERPRETER,
    ("Django, processes=4", "memory"): COPIES,
    ("Django, processes=4, preload", "memory"): COUNTS,
}
