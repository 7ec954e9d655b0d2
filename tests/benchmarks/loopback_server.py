"""A server of pre-rendered pages on loopback, so that the server is never what is measured.

`python loopback_server.py ROWS LATENCY PAGE_ROWS` prints its port, serves tags called `tag-N` of ROWS rows each, and
ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys

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


class Pages:
    """Every page of every tag, and one empty page behind the end."""

    def __init__(self, total: int, page_rows: int) -> None:
        self.cut = [cut_page(number, total, page_rows) for number in range(1, -(-total // page_rows) + 2)]
        self.tag_digits = 8 - row_digits(total)

    def answer(self, line: bytes) -> bytes:
        """Choose the answer to a request line."""
        page, tag = _PAGE.search(line), _TAG.search(line)
        digits = (tag[1] if tag else b"").zfill(self.tag_digits)[-self.tag_digits :]
        number = int(page[1]) if page else 1
        return digits.join(self.cut[min(number, len(self.cut)) - 1])


class Connection(asyncio.Protocol):
    """A client, which asks for one page after the other."""

    def __init__(self, pages: Pages, latency: float) -> None:
        self.pages, self.latency, self.received = pages, latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Welcome a client."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        kept: socket.socket = transport.get_extra_info("socket")
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)  # a whole answer in one call

    def data_received(self, data: bytes) -> None:
        """Answer, if this ends a request."""
        self.received += data
        if not self.received.endswith(b"\r\n\r\n"):
            return
        answer, self.received = self.pages.answer(self.received.split(b"\r\n", 1)[0]), b""
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, answer)
        else:
            self.transport.write(answer)


async def serve(total: int, latency: float, page_rows: int) -> None:
    """Answer until standard input is closed."""
    loop, pages = asyncio.get_running_loop(), Pages(total, page_rows)
    server = await loop.create_server(lambda: Connection(pages, latency), "127.0.0.1", 0, backlog=256)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
