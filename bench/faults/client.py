"""The client of the fault suite: sends requests over kept connections all the time and judges every answer.

Run as a process of its own, so that whoever injects the faults does not disturb the measuring. It reads words from its standard
input: `mark` ends a stretch and begins the next, the end of file ends everything; each stretch is answered by a line of JSON.

Each request carries a token that the answer must repeat, so that an answer to somebody else's request is noticed. A connection that
httpd closes between two requests is no failure, as it happens to static files too: the request is sent once more over a new
connection, and counted as repeated.
"""

import asyncio
import json
import sys
import time

# An answer that takes longer is counted as hung.
PATIENCE = 15.0


class Stretch:
    """What was seen between two marks."""

    def __init__(self):
        self.began = time.monotonic()
        self.sent = self.wrong = self.hung = self.repeated = 0
        self.failures = {}
        self.times = []

    def fail(self, how):
        self.failures[how] = self.failures.get(how, 0) + 1

    def summary(self):
        times = sorted(self.times)

        def quantile(share):
            return 1000 * times[min(len(times) - 1, int(share * len(times)))] if times else None

        return {
            "seconds": time.monotonic() - self.began,
            "sent": self.sent,
            "failed": sum(self.failures.values()),
            "failures": self.failures,
            "wrong": self.wrong,
            "hung": self.hung,
            "repeated": self.repeated,
            "p50": quantile(0.5),
            "p99": quantile(0.99),
            "max": quantile(1),
        }


class Closed(Exception):
    """The connection ended before the first octet of an answer."""


class Cut(Exception):
    """The connection ended within an answer."""


class Connection:
    """A kept connection."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None
        self.served = 0

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None
        self.served = 0

    async def ask(self, path):
        """The status and the body of the answer."""
        if not self.writer:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            self.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as error:
                raise (Cut if error.partial else Closed)() from error
            except ConnectionError as error:
                raise Closed() from error
            try:
                answer = await self.body(head)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise Cut() from error
        except BaseException:
            self.close()
            raise
        self.served += 1
        return answer

    async def body(self, head):
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        status = int(lines[0].split()[1])
        if "content-length" in fields:
            body = await self.reader.readexactly(int(fields["content-length"]))
        elif fields.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\r\n")
        else:
            body = await self.reader.read()
            fields["connection"] = "close"
        if fields.get("connection", "").lower() == "close":
            self.close()
        return status, body


class Client:
    """Connections that ask for one path, at a rate."""

    def __init__(self, port, path, connections, rate):
        self.port, self.path, self.connections = port, path, connections
        self.pause = connections / rate
        self.stretch = Stretch()
        self.stopping = False

    async def run(self):
        await asyncio.gather(*(self.work(number) for number in range(self.connections)))

    async def work(self, number):
        connection = Connection(self.port)
        due = time.monotonic() + self.pause * number / self.connections
        count = 0
        while not self.stopping:
            await asyncio.sleep(max(0, due - time.monotonic()))
            # Who could not keep up does not send a burst afterwards.
            due = max(due + self.pause, time.monotonic())
            count += 1
            await self.request(connection, f"{number}.{count}")
        connection.close()

    async def request(self, connection, token):
        stretch = self.stretch
        began = time.monotonic()
        stretch.sent += 1
        try:
            path = self.path.replace("TOKEN", token)
            status, body = await asyncio.wait_for(self.ask(connection, path), PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            stretch.hung += 1
            return
        except OSError as error:
            stretch.fail(type(error).__name__)
            # httpd does not listen at all: a client that insists would only spin.
            await asyncio.sleep(0.05)
            return
        except Closed:
            stretch.fail("closed")
            return
        except Cut:
            stretch.fail("cut")
            return
        if status != 200:
            stretch.fail(str(status))
        elif token.encode() not in body.split() and "TOKEN" in self.path:
            stretch.wrong += 1
        else:
            stretch.times.append(time.monotonic() - began)

    async def ask(self, connection, path):
        was_used = connection.served > 0
        try:
            return await connection.ask(path)
        except Closed:
            if not was_used:
                raise
            self.stretch.repeated += 1
            return await connection.ask(path)

    def mark(self):
        done, self.stretch = self.stretch, Stretch()
        return done.summary()


async def main():
    port, *wanted = sys.argv[1:]
    clients = [Client(int(port), path, int(connections), float(rate)) for path, connections, rate in zip(*[iter(wanted)] * 3)]
    running = asyncio.gather(*(client.run() for client in clients))
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    while await words.readline():
        print(json.dumps([client.mark() for client in clients]), flush=True)
    for client in clients:
        client.stopping = True
    await running
    print(json.dumps([client.mark() for client in clients]), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
