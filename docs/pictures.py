"""Takes the pictures of the docs from the demo's data, writes the sample reports, and runs the notebooks.

`python docs/pictures.py` writes docs/images/, docs/sample/ and the outputs in docs/notebooks/ anew. It needs Chromium.
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

DOCS = Path(__file__).resolve().parent
IMAGES, SAMPLE = DOCS / "images", DOCS / "sample"
SHOP = "maison-tilleul"
TITLE = "Maison Tilleul"
MINE = {
    "name": "mine",
    "expectations": [
        {
            "type": "expect_table_row_count_to_be_between",
            "kwargs": {"min_value": 1000},
            "meta": {"rule": "A campaign has at least 1,000 messages"},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "status", "value_set": ["delivered", "waiting"], "mostly": 0.8},
            "meta": {"rule": "At least 80% of messages are delivered or waiting"},
        },
    ],
}
"""A suite of a user's own, so that the page of the validation has something to show."""

SHOTS = {  # the page, then width, height and scale of the window
    "report.png": ("report.html", 1440, 1500, 1),
    "report-phone.png": ("report.html", 390, 844, 2),
    "validation.png": ("validation.html", 1440, 900, 1),
}
_MOST_COLOURS = 96
_BLUE = (116, 185, 230)
_INK_AND_OCHRE = TerminalTheme(
    (17, 21, 27),
    (233, 235, 238),
    [(17, 21, 27), (240, 165, 95), _BLUE, (240, 200, 120), _BLUE, (166, 175, 188), _BLUE, (233, 235, 238)],
)
"""The dark palette of the report, for the terminal's eight colours."""

_TERMINAL = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>{styles}
.{unique_id}-matrix {{font: {char_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace}}
</style>
<defs>{lines}</defs>
{chrome}<g transform="translate({terminal_x}, {terminal_y})">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def main() -> None:
    """Run the demo, write the samples, take the pictures, run the notebooks."""
    for folder in (IMAGES, SAMPLE):
        folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = smspartner(folder, "demo", SHOP)
        draw_terminal("$ smspartner demo\n" + said.partition("\n\n")[0])
        for page, language in (("report.html", "en"), ("rapport.html", "fr")):
            smspartner(folder, "report", SHOP, "-o", page, "--lang", language, "--title", TITLE)
            shutil.copy(folder / page, SAMPLE / page)
        (folder / "mine.json").write_text(json.dumps(MINE), encoding="utf-8")
        smspartner(folder, "validate", SHOP, "-o", "validation", "--expectations", "mine.json")
        next((folder / "validation").glob("*.html")).rename(folder / "validation.html")
        take_pictures(folder)
        for notebook in (DOCS / "notebooks").glob("*.ipynb"):
            run_notebook(notebook, folder)


def smspartner(folder: Path, *arguments: str) -> str:
    """Run a command there, and give what it prints on a terminal of 110 columns, in colours."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from smspartner_pipelines.process import main; main()", *arguments]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "COLUMNS": "110"}
    started = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=theirs)  # noqa: S603
    os.close(theirs)
    said = b""
    with suppress(OSError):  # its end
        while more := os.read(ours, 65_536):
            said += more
    os.close(ours)
    started.wait()
    return said.decode().replace("\r\n", "\n")


def draw_terminal(said: str) -> None:
    """Draw what was printed, in fonts that the reader has."""
    text = Text.from_ansi(said)
    console = Console(record=True, width=max(map(len, text.plain.splitlines())) + 1, file=io.StringIO())
    console.print(text)
    drawn = console.export_svg(title="smspartner demo", theme=_INK_AND_OCHRE, code_format=_TERMINAL)
    (IMAGES / "terminal.svg").write_text(drawn, encoding="utf-8")


def take_pictures(folder: Path) -> None:
    """Take what a browser shows of the pages, in few colours."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (page, width, height, scale) in SHOTS.items():
            window = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            window.goto((folder / page).as_uri())
            picture = Image.open(io.BytesIO(window.screenshot())).convert("RGB")
            few = picture.quantize(_MOST_COLOURS, dither=Image.Dither.NONE)
            few.save(IMAGES / name, optimize=True)
            window.close()
        browser.close()


def run_notebook(path: Path, folder: Path) -> None:
    """Run a notebook there, and keep what its cells show, without a trace of this machine."""
    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    metadata = deepcopy(notebook.metadata)
    where = {"metadata": {"path": folder}}
    NotebookClient(notebook, kernel_name="python3", record_timing=False, resources=where).execute()
    notebook.metadata = metadata
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if len(data) > 1:
                data.pop("text/plain", None)  # for programs that show no HTML; it names folders of this machine
            if "text/html" in data:
                data["text/html"] = re.sub(r"T_[0-9a-f]{5}", "T_0", data["text/html"])  # a name that is new each time
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
