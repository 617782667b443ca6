# Loads the host into this interpreter and hands over to it. Written for every Python 3, so that one that is too old can say so.
import sys

# "-c" puts the working directory first, from which nothing may be imported before the host has decided what is on the path.
if sys.path and not sys.path[0]:
    del sys.path[0]


host = sys.argv[1]
# A free-threaded Python has another layout of objects: it would crash over the host for all others.
is_free_threaded = "t" in getattr(sys, "abiflags", "")
if is_free_threaded:
    host = "%s_%d.%dt.so" % ((host[: -len(".so")],) + sys.version_info[:2])


def load(path):
    if sys.version_info < (3, 10):
        raise ImportError("CPython 3.10 or later is needed")
    if sys.implementation.name != "cpython":
        raise ImportError("CPython is needed, this is " + sys.implementation.name)
    if is_free_threaded:
        import os

        if not os.path.exists(path):
            raise ImportError("it was not built for this Python: make build FREE_THREADED=" + sys.executable)
    # importlib.util would bring more modules along, which each worker would keep: a fifth of a MiB.
    from importlib.machinery import ExtensionFileLoader, ModuleSpec

    name = "mod_wsgi_python"
    loader = ExtensionFileLoader(name, path)
    module = loader.create_module(ModuleSpec(name, loader, origin=path))
    loader.exec_module(module)
    sys.modules[name] = module
    return module.run


try:
    run = load(host)
except BaseException as error:
    what = " ".join(str(error).split()) or "no reason given"
    version = ".".join(map(str, sys.version_info[:3]))
    sys.stderr.write(
        "WSGI0028: Python %s at %s cannot load the host %s: %s: %s\n" % (version, sys.executable, host, type(error).__name__, what)
    )
    sys.exit(70)

run()
