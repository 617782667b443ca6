"""What must stay as it is however often httpd or an application is restarted: memory, descriptors, threads and thread keys of the
processes that live on, and what lies about in folders."""

import ctypes
import os
import struct
from dataclasses import dataclass

# glibc's table of thread keys: a number that is odd while the key is in use, and its destructor (pthread_key_create(3)).
KEYS, KEY = 1024, struct.Struct("=QQ")


def libc_of(pid):
    """Where a process has its libc, and which file that is."""
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            fields = line.split()
            if len(fields) == 6 and os.path.basename(fields[5]).startswith("libc.so"):
                return int(fields[0].split("-")[0], 16), fields[5]
    raise OSError("no libc")


def thread_keys(pid):
    """How many thread keys a process has in use; None where that cannot be seen."""
    try:
        table = ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(None), "__pthread_keys"))
        (mine, my_file), (other, file) = libc_of("self"), libc_of(pid)
        if file != my_file:
            return None
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(table - mine + other)
            return sum(number % 2 for number, _ in KEY.iter_unpack(memory.read(KEYS * KEY.size)))
    except (OSError, ValueError):
        return None


def entries(folder):
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0


@dataclass
class Sizes:
    """Of httpd's parent, of its supervisors together, and of folders."""

    parent: tuple
    supervisors: tuple
    folders: tuple

    @classmethod
    def of(cls, server):
        resident, descriptors, threads = server.sizes()
        supervisors = [server.sizes(pid)[:2] for pid in server.supervisors()]
        return cls(
            (resident, descriptors, threads, thread_keys(server.process.pid)),
            tuple(map(sum, zip(*supervisors))) or (0, 0),
            (entries("/dev/shm"), entries("/tmp"), entries(server.root)),
        )

    def since(self, then):
        """What has grown, as text."""

        def grown(now, before, units):
            pairs = zip(now, before, units)
            return ", ".join(f"{a - b:+d} {unit}" for a, b, unit in pairs if a is not None and b is not None)

        parent = grown(self.parent, then.parent, ["KiB", "descriptors", "threads", "thread keys"])
        supervisors = grown(self.supervisors, then.supervisors, ["KiB", "descriptors"])
        folders = grown(self.folders, then.folders, ["in /dev/shm", "in /tmp", "in its folder"])
        return f"parent {parent}; supervisors {supervisors}; {folders}"
