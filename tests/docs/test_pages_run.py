"""Every command on every page is executed, in the order of the page, and prints what the page shows."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from smspartner_pipelines.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("bash", "python", "sql")
ELSEWHERE = ("powerquery",)
NO_COMMANDS = ("text", "toml", "json")
MARKS = ("not run", "run by", "exits with", "numbers differ", "terminal", "file", "database", "on", "command")
NOT_RUN = {
    "README.md": 5,
    "docs/how-to/alerts.md": 1,
    "docs/how-to/metabase.md": 1,
    "docs/how-to/notebooks.md": 2,
    "docs/how-to/power-bi.md": 4,
    "docs/schedule.md": 3,
    "docs/secrets.md": 1,
    "docs/tutorial.md": 1,
}
"""Blocks that nothing executes, page by page: each says why in the page."""

FENCE = re.compile(r"((?:^<!-- [a-z ]+: [^\n]*-->\n)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text, the marks before it, and the output that the page shows after it."""

    language: str
    text: str
    marks: dict[str, str]
    output: str | None


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


PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]
BLOCKS = {page: blocks_of(page) for page in PAGES}


def is_run(block: Block) -> bool:
    """Tell whether a block is run here."""
    return block.language in COMMANDS and not {"not run", "run by", "file"} & set(block.marks)


def to_install(block: Block) -> bool:
    """Tell whether a block only installs an extra of this package, which the tests have."""
    return re.fullmatch(r"pip install 'smspartner-connector\[\w+\]'\n", block.text) is not None


def spoken(text: str, moving: str | None = None) -> list[str]:
    """Give the lines of an output, without what differs from run to run: spaces, times, names of runs."""
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{8}", "RUN_ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\dZ", "TIME", text)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [re.sub(r"\d[\d.,]*", "N", line) if moving and moving in line else line for line in lines]


class Terminal:
    """One shell that goes on from block to block, as a reader's does, and a second one for the sandbox."""

    def __init__(self, folder: Path, environment: dict[str, str], replaced: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._replaced = replaced
        self._state = folder.parent / f"{folder.name}.state"
        self._state.write_text(f"cd {folder}\n", encoding="utf-8")
        self._sandbox: subprocess.Popen[str] | None = None

    def run(self, block: Block) -> tuple[str, str]:
        """Run a block, and give what it prints, and the exit codes of the commands that failed."""
        text = self._here(block.text)
        if block.language == "python":
            (self._state.parent / "block.py").write_text(text, encoding="utf-8")
            text = f"python {self._state.parent / 'block.py'}"
        if block.language == "sql":
            return rows_of(self._here(block.marks["database"]), text, self.folder), ""
        return self._bash(text)

    def _bash(self, text: str) -> tuple[str, str]:
        """Run lines with variables and folder as the lines before left them."""
        failures = self._state.with_suffix(".failures")
        failures.write_text("", encoding="utf-8")
        lines = [
            f"source {self._state}",
            f"trap 'echo $? >>{failures}' ERR",
            text,
            f'{{ export -p; printf "cd %q\\n" "$PWD"; }} >{self._state}',
        ]
        ended = subprocess.run(
            ["bash", "-c", "\n".join(lines)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        return ended.stdout, " ".join(failures.read_text(encoding="utf-8").split())

    def write(self, block: Block) -> None:
        """Save a block as the file that the page says it is."""
        path = self.folder / block.marks["file"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(self._here(block.text), encoding="utf-8")

    def serve(self, block: Block) -> str:
        """Start the sandbox in the second terminal, after ending the one before; give what it prints at first."""
        self.end()
        text = block.text.replace("smspartner sandbox", f"exec smspartner sandbox --port {self._replaced['8025']}")
        self._sandbox = subprocess.Popen(
            ["bash", "-c", text], env=self.environment, stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert self._sandbox.stdout is not None
        return "".join(self._sandbox.stdout.readline() for _ in range(4))

    def end(self) -> None:
        """End the sandbox."""
        if self._sandbox is not None:
            self._sandbox.terminate()
            self._sandbox.communicate(timeout=20)

    def _here(self, text: str) -> str:
        """Put our places in the place of those of the pages."""
        for theirs, ours in self._replaced.items():
            text = text.replace(theirs, ours)
        return text

    def shown(self, text: str) -> str:
        """Put the places of the pages in the place of ours, in what was printed."""
        for theirs, ours in self._replaced.items():
            text = text.replace(ours, theirs)
        return text


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
def open_terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Terminal]]:
    """Open a terminal in a fresh folder that holds a file of tags, for a page."""
    with ExitStack() as opened:

        def start(page: str) -> Terminal:
            folder = tmp_path / "folder"
            folder.mkdir()
            (folder / "tags.txt").write_text("promo-nov\nsoldes-été\n", encoding="utf-8")
            plain = {name: value for name, value in os.environ.items() if not name.startswith("SMSPARTNER_")}
            environment = {**plain, "PATH": f"{Path(sys.executable).parent}:{plain['PATH']}", "LC_ALL": "C.UTF-8"}
            with socket.create_server(("127.0.0.1", 0)) as free:  # the page's port may be taken on this machine
                replaced = {"8025": str(free.getsockname()[1])}
            if not any("terminal" in block.marks for block in BLOCKS[page]):
                environment |= {
                    "SMSPARTNER_API_KEY": "sandbox-key",
                    "SMSPARTNER_BASE_URL": request.getfixturevalue("sandbox_url"),
                    "SMSPARTNER_VALIDATE": "contract",  # quicker; the tutorial runs as users do
                }
                replaced = {"SMSPARTNER_API_KEY=…": "SMSPARTNER_API_KEY=sandbox-key"}
            if any("postgresql://" in block.text for block in BLOCKS[page] if is_run(block)):
                place = request.getfixturevalue("postgresql")
                replaced["postgresql://etl@db.example.com/warehouse"] = place.uri
            terminal = Terminal(folder, environment, replaced)
            opened.callback(terminal.end)
            return terminal

        yield start


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(is_run, BLOCKS[page]))])
def test_the_page_works_word_for_word(page: str, open_terminal: Callable[[str], Terminal]) -> None:
    """Whoever types what a page says, from its top to its end, sees what the page shows."""
    terminal = open_terminal(page)
    for block in BLOCKS[page]:
        printed, failed = "", block.marks.get("exits with", "")
        if "file" in block.marks:
            terminal.write(block)
        elif "terminal" in block.marks:
            printed = terminal.serve(block)
        elif is_run(block) and not to_install(block):
            printed, failed = terminal.run(block)
        told = f"{block.text}\nprints:\n{terminal.shown(printed)}"
        assert failed == block.marks.get("exits with", ""), told
        if block.output is not None and is_run(block):
            moving = block.marks.get("numbers differ")
            assert spoken(terminal.shown(printed), moving) == spoken(block.output, moving), told


def test_every_block_is_run_or_says_why() -> None:
    """No block of commands is passed over in silence: those that nothing runs are counted here."""
    everything = [(page, block) for page, blocks in BLOCKS.items() for block in blocks]
    assert {block.language for _, block in everything} <= {*COMMANDS, *ELSEWHERE, *NO_COMMANDS}
    assert all("not run" in block.marks for _, block in everything if block.language in ELSEWHERE)
    assert {mark for _, block in everything for mark in block.marks} <= set(MARKS)
    counted = {page: sum("not run" in block.marks for block in blocks) for page, blocks in BLOCKS.items()}
    assert {page: count for page, count in counted.items() if count} == NOT_RUN


def test_who_runs_what_is_not_run_here() -> None:
    """A block that another test runs names that test, which names the page."""
    for page, blocks in BLOCKS.items():
        for test in {block.marks["run by"] for block in blocks if "run by" in block.marks}:
            assert Path(page).name in (ROOT / test).read_text(encoding="utf-8"), (page, test)
