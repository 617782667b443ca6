"""What stands in the way of a target that is missed, and what was tried: by workload and mode, for the page that shows it."""

ONE_FIRST = (
    "One worker finds out whether the new code works, so that what fails does so once, and the others import it when it does: two imports, one "
    "after the other, and the old code serves meanwhile. Letting the first serve at once was tried: a client that asks one request at a time is "
    "answered by the old workers all the same, whose connections are warm."
)

REMARKS = {
    ("touch, import of 0 s", "daemon"): ONE_FIRST,
    ("touch, import of 0.5 s", "daemon"): ONE_FIRST,
}
