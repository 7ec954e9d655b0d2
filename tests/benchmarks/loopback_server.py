"""A server of pre-rendered pages on loopback, so that the server is never what is measured.

`python loopback_server.py ROWS LATENCY PAGE_ROWS` prints its port, serves tags called `tag-N` of ROWS rows each, and
ends when its standard input is closed; then it prints how many requests it saw.
"""

from __future__ import annotations

import heapq
import json
import re
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from itertools import count

FIRST_DATE = 1717989111
WORDS = ("Delivered", "Delivered", "Delivered", "Not delivered")
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_PAGE = re.compile(rb"[?&]page=(\d+)")
_TAG = re.compile(rb"[?&]tag=tag-(\d+)")


def row_digits(total: int) -> int:
    """How many of the eight digits that follow +336 count the rows of a tag; the others are the tag's."""
    return len(str(total - 1))


def cut_page(number: int, total: int, page_rows: int) -> list[bytes]:
    """Render one page, cut where each number has its tag's digits: `digits.join(pieces)` is the whole answer."""
    first, width = (number - 1) * page_rows, row_digits(total)
    rows = [
        {
            "phoneNumber": f"+336TAG{first + place:0{width}d}",
            "status": WORDS[place % len(WORDS)],
            "stopSMS": place % 50 == 0,
            "date": str(FIRST_DATE + first + place),
        }
        for place in range(max(0, min(page_rows, total - first)))
    ]
    envelope = {"success": True, "code": 200, "currentPage": number, "total": total, "StatutResponse_List": rows}
    first_piece, *pieces = json.dumps(envelope).encode().split(b"TAG")
    length = len(first_piece) + sum(map(len, pieces)) + (8 - width) * len(pieces)
    return [_HEAD % length + first_piece, *pieces]


@dataclass(eq=False)
class Connection:
    """A client, what came of its request, and what it still has to be sent."""

    socket: socket.socket
    received: bytes = b""
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))


class Server:
    """One loop over all connections; answers that have to wait stand in a heap."""

    def __init__(self, total: int, latency: float, page_rows: int) -> None:
        self.pages = [cut_page(number, total, page_rows) for number in range(1, -(-total // page_rows) + 2)]
        self.tag_digits = 8 - row_digits(total)
        self.latency = latency
        self.requests = 0
        self.due: list[tuple[float, int, Connection, bytes]] = []
        self.order = count()
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(sys.stdin.buffer, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer until standard input is closed."""
        while True:
            wait = max(0.0, self.due[0][0] - time.perf_counter()) if self.due else None
            for key, events in self.selector.select(wait):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is sys.stdin.buffer:
                    return
                elif events & selectors.EVENT_WRITE:
                    self.send(key.data, key.data.unsent)
                else:
                    self.receive(key.data)
            while self.due and self.due[0][0] <= time.perf_counter():
                _, _, connection, answer = heapq.heappop(self.due)
                self.send(connection, memoryview(answer))

    def accept(self) -> None:
        """Welcome a client."""
        client, _ = self.listener.accept()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)  # a whole answer in one call
        self.selector.register(client, selectors.EVENT_READ, Connection(client))

    def receive(self, connection: Connection) -> None:
        """Read what there is, and answer if it ends a request."""
        try:
            data = connection.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self.selector.unregister(connection.socket)
            connection.socket.close()
            return
        connection.received += data
        if not connection.received.endswith(b"\r\n\r\n"):
            return
        answer = self.answer(connection.received.split(b"\r\n", 1)[0])
        connection.received = b""
        if self.latency:
            heapq.heappush(self.due, (time.perf_counter() + self.latency, next(self.order), connection, answer))
        else:
            self.send(connection, memoryview(answer))

    def answer(self, line: bytes) -> bytes:
        """Choose the answer to a request line."""
        self.requests += 1
        page, tag = _PAGE.search(line), _TAG.search(line)
        digits = (tag[1] if tag else b"").zfill(self.tag_digits)[-self.tag_digits :]
        number = int(page[1]) if page else 1
        return digits.join(self.pages[min(number, len(self.pages)) - 1])

    def send(self, connection: Connection, answer: memoryview) -> None:
        """Send as much as the client takes; the loop comes back for the rest."""
        try:
            sent = connection.socket.send(answer)
        except BlockingIOError:
            sent = 0
        except (ConnectionError, OSError):  # the client has gone; reading will tell
            sent = len(answer)
        writing = bool(connection.unsent)
        connection.unsent = answer[sent:]
        if writing != bool(connection.unsent):
            events = selectors.EVENT_WRITE if connection.unsent else selectors.EVENT_READ
            self.selector.modify(connection.socket, events, connection)


def main() -> None:
    """Serve, then tell what was seen."""
    server = Server(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(f"{server.listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.serve()
    sys.stdout.write(json.dumps({"requests": server.requests}) + "\n")


if __name__ == "__main__":
    main()
