"""The scripts of docs/how-to/alerts.md where something is wrong with what they are given."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "alerts.md"


@pytest.mark.parametrize("address", ["", "chat.example.com/secret", "http://127.0.0.1:1/sec ret", "http://[secret/"])
def test_the_address_of_the_chat_is_never_shown(tmp_path, address):
    """An address that can't be used is named by its variable, in a sentence: it is a secret."""
    notify = re.search(r"<!-- file: notify -->\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "run.json").touch()
    (tmp_path / "run.log").write_text("error: there is no API key\n", encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", notify[1], "sentence"],
        check=False,
        cwd=tmp_path,
        env={"CHAT_URL": address},
        capture_output=True,
        text=True,
    )
    said = "the chat was not reached: CHAT_URL is not set, is no address, or that of another service\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", said)
