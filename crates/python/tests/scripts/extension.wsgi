"""Uses PyGILState_Ensure on a request thread, as many extension modules do: ctypes does so for each callback."""
import ctypes

callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda number: number + 1)


def application(environ, start_response):
    assert callback(41) == 42
    start_response("200 OK", [])
    return [b"ok"]
