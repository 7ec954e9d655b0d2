"""The scripts of docs/how-to/alerts.md where something is wrong with what they are given."""

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "alerts.md"


@pytest.fixture
def notify(tmp_path):
    """Run the script that posts to a chat, after a run that left so much of its report."""
    script = re.search(r"<!-- file: notify -->\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]

    def run(address, report=""):
        (tmp_path / "run.json").write_text(report, encoding="utf-8")
        (tmp_path / "run.log").write_text("error: the disk is full\n", encoding="utf-8")
        command = [sys.executable, "-c", script, "sentence"]
        given = {} if address is None else {"CHAT_URL": address}
        ended = subprocess.run(command, check=False, cwd=tmp_path, env=given, capture_output=True, text=True)
        return ended.returncode, ended.stdout, ended.stderr

    return run


UNUSABLE = ["", "chat.example.com/secret", "secret.example.com:443", "http://127.0.0.1:1/sec ret", "http://[secret/"]


@pytest.mark.parametrize("address", [None, *UNUSABLE, "file:///secret"])
def test_the_address_of_the_chat_is_never_shown(notify, address):
    """An address that can't be used is named by its variable, in a sentence: it is a secret."""
    said = "the chat was not reached: CHAT_URL is not set, is no address, or that of another service\n"
    assert notify(address) == (1, "", said)


def test_a_run_that_could_not_start_needs_a_person(tmp_path):
    """Called by its path from another folder, the script finds the others, and says that the command is not there."""
    script = re.search(r"<!-- file: run-sms -->\n```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
    (folder := tmp_path / "of its own").mkdir()
    for name, text in {"run-sms": script, "notify": '#!/bin/sh\necho "$1"\n'}.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    command, env = [folder / "run-sms", "promo-nov", "--to", "data/"], {"PATH": "/usr/bin:/bin"}
    ended = subprocess.run(command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ended.stdout == "the run was killed or could not start (exit code 127): a person must look\n"
    assert (ended.returncode, ended.stderr) == (127, "")


def test_a_full_disk_is_reported(notify):
    """Where the report was cut, since the disk is full, the chat gets what the run said last."""
    received = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Chat) as chat:
        chat.timeout = 60
        thread = threading.Thread(target=chat.handle_request)
        thread.start()
        assert notify(f"http://127.0.0.1:{chat.server_port}", '{\n  "failure": null,\n  "tags": [') == (0, "", "")
        thread.join()
    assert received == ["SMS statuses: sentence\nerror: the disk is full"]
