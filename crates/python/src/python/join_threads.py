"""Waits for the non-daemon threads of an interpreter that is about to end, as its end would."""

import sys

threading = sys.modules.get("threading")
if threading is not None:
    # Until 3.12 the main thread's lock is held by the thread state that imported threading. If that state is gone and its thread is
    # the one that ends the interpreter, the lock is not held as threading expects.
    main = threading.main_thread()
    lock = getattr(main, "_tstate_lock", None)
    if lock is not None and main.ident == threading.get_ident():
        lock.acquire(False)
    threading._shutdown()
    threading._shutdown = lambda: None
