"""Says what signals mean to a service script.

Executed on the main thread, with these globals: `signals` (their numbers) and `ends` (whether they end the script, or nothing any more).
"""

import signal


def end(number, frame):
    """Leave the script, wherever it is."""
    raise SystemExit


for number in signals:
    signal.signal(number, end if ends else signal.SIG_IGN)
