"""What stands in the way of a target that is missed, and what was tried: by workload and mode, for the page that shows it."""

ALL_AT_ONCE = (
    "All workers of the next generation start and import at once, and take over together; what comes on top of the import is the start of "
    "Python in each of them, on processors that the load wants as well. Letting the first one serve alone was tried: a client that asks one "
    "request at a time is answered by the old workers all the same, whose connections are warm."
)

REMARKS = {
    ("touch, import of 0 s", "daemon"): ALL_AT_ONCE,
    ("touch, import of 0.5 s", "daemon"): ALL_AT_ONCE,
}
