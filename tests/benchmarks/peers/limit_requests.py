"""The practical limit through `requests`: prepared once, copied, sent by a session of each thread."""

from __future__ import annotations

import threading

import requests
from limit import main

_PREPARED = requests.Request("GET", "http://localhost").prepare()
_OF_THREAD = threading.local()


def get(url: str) -> bytes:
    """Send one request."""
    if not hasattr(_OF_THREAD, "session"):
        _OF_THREAD.session = requests.Session()
    request = _PREPARED.copy()
    request.url = url
    return _OF_THREAD.session.send(request).content


if __name__ == "__main__":
    main(get)
