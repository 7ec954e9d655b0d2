"""Every command on every page is executed, in the order of the page, and prints what the page shows."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from smspartner_pipelines.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("bash", "python", "sql")
NO_COMMANDS = ("text", "toml", "json", "yaml")
MARKS = {
    "not run",
    "run by",
    "exits with",
    "numbers differ",
    "terminal",
    "file",
    "database",
    "on",
    "command",
    "received",
}
NOT_RUN = {
    "docs/spark.md": 1,  # Delta's jars come from Maven
    "CONTRIBUTING.md": 1,
    "README.md": 2,
    "docs/how-to/housekeeping.md": 1,
    "docs/how-to/metabase.md": 1,
    "docs/how-to/notebooks.md": 2,
    "docs/how-to/power-bi.md": 4,
    "docs/how-to/warehouse.md": 1,
    "docs/schedule.md": 3,
    "docs/tutorial.md": 1,
}
"""Blocks that nothing executes, page by page: each says why in the page."""

POSTED_TO = ("https://hooks.slack.com/services/…", "https://hc-ping.com/…")
"""Where pages post to; here it is a server on loopback."""

SANDBOX_LINES = 6
FENCE = re.compile(r"((?:^<!-- [a-z ]+: [^\n]*-->\n)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOVING = (
    (r"\d{8}T\d{6}Z-[0-9a-f]{8}", "RUN_ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ)?", "TIME"),
    (r", \d+\.\d s$", ", SECONDS"),
)
"""What differs from run to run."""


class Block(NamedTuple):
    """A fenced block: its language, its text, the marks before it, and the output that the page shows after it."""

    language: str
    text: str
    marks: dict[str, str]
    output: str | None

    @property
    def is_run(self) -> bool:
        """Whether it is run here; what only installs an extra of this package is there already."""
        installs = re.fullmatch(r"pip install 'smspartner-connector\[\w+\]'\n", self.text)
        return self.language in COMMANDS and not installs and not {"not run", "run by", "file"} & set(self.marks)


def blocks_of(page: str) -> list[Block]:
    """Give the blocks of a page, but for generated parts; a text after a command is what that prints."""
    text = re.sub(r"<!-- generated: .*?<!-- /generated -->", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    found: list[Block] = []
    for marks, language, body in FENCE.findall(text):
        given = dict(re.findall(r"^<!-- ([a-z ]+): (.*?) -->$", marks, re.MULTILINE))
        before = found[-1] if found else None
        if language == "text" and not given and before and before.language in COMMANDS and before.output is None:
            found[-1] = before._replace(output=body)
        else:
            found.append(Block(language, body, given, None))
    return found


TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*TOP, *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
BLOCKS = {page: blocks_of(page) for page in PAGES}


def comparable(text: str, moving: str | None) -> list[str]:
    """Give the lines of an output without what differs from run to run: numbers, where a word of `moving` stands."""
    for pattern, name in MOVING:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    lines, words = [" ".join(line.split()) for line in text.splitlines()], moving.split(", ") if moving else []
    figure = r"\d[\d.,]*(dev\d+,?)?"
    return [re.sub(figure, "N", line) if any(word in line for word in words) else line for line in lines]


class Posted(ThreadingHTTPServer):
    """Stands for every service that pages post to; `received` keeps method, URL and body, in order."""

    received: list[str]


class _Posted(BaseHTTPRequestHandler):
    server: Posted

    def do_GET(self) -> None:
        """Keep one request, and be content with it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        url = f"http://127.0.0.1:{self.server.server_port}{self.path}"
        self.server.received.append(f"{self.command} {url} {body}".rstrip())
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815  # http.server names it so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server names it so
        """Log nothing."""


class Terminal:
    """One shell that goes on from block to block, as a reader's does, and a second one for the sandbox."""

    def __init__(self, folder: Path, environment: dict[str, str], replaced: dict[str, str]) -> None:
        self._folder, self._environment, self._replaced = folder, environment, replaced
        self._state = folder.with_suffix(".state")
        self._state.write_text(f"cd {folder}\n", encoding="utf-8")
        self._sandbox: subprocess.Popen[str] | None = None
        self.received: list[str] = []

    def do(self, block: Block) -> tuple[str, str]:
        """Do what a page says, and give what that prints, as the page shows it, and the exit codes of failures."""
        text, printed, failed = self._here(block.text), "", ""
        if "file" in block.marks:
            path = self._folder / block.marks["file"]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif "terminal" in block.marks:
            printed = self._serve(text)
        elif block.language == "sql":
            printed = rows_of(self._here(block.marks["database"]), text, self._folder)
        elif block.language == "python":
            script = self._state.with_suffix(".py")
            script.write_text(text, encoding="utf-8")
            printed, failed = self._bash(f"python {script}")
        else:
            printed, failed = self._bash(text)
        return self._there(printed), failed

    def received_since(self) -> str:
        """Give what services were sent since this was last asked."""
        sent = [self.received.pop(0) for _ in list(self.received)]
        return self._there("\n".join(sent))

    def _there(self, printed: str) -> str:
        for theirs, ours in self._replaced.items():
            printed = printed.replace(ours, theirs)
        return printed

    def _here(self, text: str) -> str:
        for theirs, ours in self._replaced.items():
            text = text.replace(theirs, ours)
        return text

    def _bash(self, text: str) -> tuple[str, str]:
        """Run lines with variables and folder as the lines before left them."""
        failures = self._state.with_suffix(".failures")
        failures.write_text("", encoding="utf-8")
        kept = f'{{ export -p; printf "cd %q\\n" "$PWD"; }} >{self._state}'
        lines = [f"source {self._state}", f"trap 'echo $? >>{failures}' ERR", text, kept]
        ended = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return ended.stdout, " ".join(failures.read_text(encoding="utf-8").split())

    def _serve(self, text: str) -> str:
        """Start the sandbox in the second terminal, after ending the one before; give what it prints at first."""
        self.end()
        text = text.replace("smspartner sandbox", f"exec smspartner sandbox --port {self._replaced['8025']}")
        command = ["bash", "-c", text]
        self._sandbox = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, encoding="utf-8")
        assert self._sandbox.stdout is not None
        return "".join(self._sandbox.stdout.readline() for _ in range(SANDBOX_LINES))

    def end(self) -> None:
        """End the sandbox."""
        if self._sandbox is not None:
            self._sandbox.terminate()
            self._sandbox.communicate(timeout=20)


def rows_of(database: str, statement: str, folder: Path) -> str:
    """Run a statement on a database, and give its rows as lines."""
    if database.startswith("duckdb:"):
        import duckdb

        with duckdb.connect(folder / database.removeprefix("duckdb:"), read_only=True) as connection:
            rows = connection.sql(statement).fetchall()
    else:
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement.rstrip().removesuffix(";"))
            rows = cursor.fetchall()
    assert rows
    return "\n".join(" ".join(map(str, row)) for row in rows)


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    """Start one sandbox for all pages that do not start their own."""
    with Sandbox(api_key="sandbox-key") as sandbox:
        yield sandbox.url


@pytest.fixture
def terminal(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """Open a terminal in a fresh folder that holds a file of tags, for a page."""
    (folder := tmp_path / "folder").mkdir()
    (folder / "tags.txt").write_text("promo-nov\nsoldes-été\n", encoding="utf-8")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    if any("terminal" in block.marks for block in BLOCKS[page]):
        with socket.create_server(("127.0.0.1", 0)) as free:  # the page's port may be taken on this machine
            replaced = {"8025": str(free.getsockname()[1])}
    else:
        url = request.getfixturevalue("sandbox_url")
        environment |= {"SMSPARTNER_API_KEY": "sandbox-key", "SMSPARTNER_BASE_URL": url}
        environment["SMSPARTNER_VALIDATE"] = "contract"  # quicker; the tutorial runs as users do
        replaced = {"SMSPARTNER_API_KEY=…": "SMSPARTNER_API_KEY=sandbox-key"}
    if any("postgresql://" in block.text for block in BLOCKS[page] if block.is_run):
        replaced["postgresql://etl@db.example.com/warehouse"] = request.getfixturevalue("postgresql").uri
    with ExitStack() as opened:
        shell = Terminal(folder, environment, replaced)
        opened.callback(shell.end)
        if any("received" in block.marks for block in BLOCKS[page]):
            server = opened.enter_context(Posted(("127.0.0.1", 0), _Posted))
            server.received = shell.received
            threading.Thread(target=server.serve_forever, daemon=True).start()
            opened.callback(server.shutdown)
            replaced |= {url: f"http://127.0.0.1:{server.server_port}/{url.split('/')[2]}" for url in POSTED_TO}
        yield shell


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.is_run for block in BLOCKS[page])])
def test_the_page_works_word_for_word(page: str, terminal: Terminal) -> None:
    """Whoever types what a page says, from its top to its end, sees what the page shows."""
    for block in BLOCKS[page]:
        if "received" in block.marks:
            sent = terminal.received_since()
            assert comparable(sent, None) == comparable(block.text, None)
            assert not re.search(r"sandbox-key|\d{9}", sent)  # a key, or a phone number
        elif block.is_run or "file" in block.marks:
            printed, failed = terminal.do(block)
            assert failed == block.marks.get("exits with", ""), f"{block.text}\nprints:\n{printed}"
            if block.output is not None:
                moving = block.marks.get("numbers differ")
                assert comparable(printed, moving) == comparable(block.output, moving), block.text


def test_every_block_is_run_or_says_why() -> None:
    """No block of commands is passed over in silence: those that nothing runs are counted, another test is named."""
    for page, blocks in BLOCKS.items():
        for block in blocks:
            assert block.language in {*COMMANDS, *NO_COMMANDS} or "not run" in block.marks, page
            assert set(block.marks) <= MARKS, page
            if test := block.marks.get("run by"):
                assert Path(page).name in (ROOT / test).read_text(encoding="utf-8"), (page, test)
    counted = {page: sum("not run" in block.marks for block in blocks) for page, blocks in BLOCKS.items()}
    assert {page: count for page, count in counted.items() if count} == NOT_RUN
