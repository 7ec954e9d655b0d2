"""A server of pre-rendered pages on loopback, so that the server is never what is measured.

`python loopback_server.py ROWS LATENCY` prints its port; it ends when its standard input is closed.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from functools import cache

PAGE_ROWS = 1000
_PAGE = re.compile(rb"[?&]page=(\d+)")
_WORDS = ("Delivered", "Delivered", "Delivered", "Not delivered")


@cache
def answer(number: int, total: int) -> bytes:
    """Render one page of every tag, HTTP head and all."""
    first = (number - 1) * PAGE_ROWS
    rows = [
        {
            "phoneNumber": f"+336{first + place:08d}",
            "status": _WORDS[place % len(_WORDS)],
            "stopSMS": place % 50 == 0,
            "date": str(1717989111 + first + place),
        }
        for place in range(min(PAGE_ROWS, total - first))
    ]
    envelope = {"success": True, "code": 200, "currentPage": number, "total": total, "StatutResponse_List": rows}
    body = json.dumps(envelope).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def serve(connection: socket.socket, total: int, latency: float) -> None:
    """Answer the requests of one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            data = connection.recv(65536)
            if not data:
                return
            received += data
        head, received = received.split(b"\r\n\r\n", 1)
        page = _PAGE.search(head.split(b"\r\n", 1)[0])
        if latency:
            time.sleep(latency)
        connection.sendall(answer(int(page[1]) if page else 1, total))


def main() -> None:
    """Serve until standard input is closed."""
    total, latency = int(sys.argv[1]), float(sys.argv[2])
    for number in range(1, -(-total // PAGE_ROWS) + 1):
        answer(number, total)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)  # noqa: T201  # the port is what its starter waits for

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, total, latency), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
