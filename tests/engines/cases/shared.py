"""What the cases of several engines need."""

from __future__ import annotations

import re
from pathlib import Path

from faults import HostileServer
from faults.populations import row

HOME = Path.cwd()
DOCS = Path(__file__).resolve().parents[3] / "docs"
ROW = row(80001)
WAITING = row(80002, None, status="Waiting")


def blocks(page: str, language: str) -> list[str]:
    """Give the code blocks of a page that are run, in one language; paths are below the home of the cases."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(rf"(<!-- not run.*?-->\n)?```{language}\n(.*?)```", text, re.DOTALL)
    return [re.sub("/(var/lib|etc)/smspartner", str(HOME), code) for not_run, code in found if not not_run]


def asked(server: HostileServer, tag: str) -> int:
    """Count the requests for a tag, with the right key."""
    return sum(request.tag == tag and request.key_ok for request in server.requests)
