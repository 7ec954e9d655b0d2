"""The campaign report: counted, made into a page, written as a whole."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from smspartner.errors import SettingsError

from smspartner_pipelines.load.files import refuse_planted_link, replace_files, try_writing
from smspartner_pipelines.load.folder import refuse_inside_dataset
from smspartner_pipelines.pages.campaign_figures import campaign_figures
from smspartner_pipelines.pages.campaign_texts import Language
from smspartner_pipelines.reading import open_loaded

STDOUT = "-"
_ENDINGS = (".html", ".htm")


@dataclass(frozen=True)
class ReportSettings:
    """Which destination to report on, where to write the page (`-`: standard output), and how it is to read."""

    destination: str
    output: str
    language: Language = "en"
    title: str | None = None
    zone: str | None = None


def write_campaign_report(settings: ReportSettings) -> str:
    """Write the page; return where it is.

    Raises:
        SettingsError: a setting is wrong, a library is missing, or nothing is loaded.
        DestinationError: the destination can't be read, or the page can't be written; an old page stays.
    """
    _check_zone(settings.zone)
    target = _target(settings.output)
    _check_libraries()
    from smspartner_pipelines.pages.campaign_page import PageSettings, campaign_page

    made_at = datetime.now(UTC)
    with open_loaded(settings.destination, shown=True) as destination:
        figures = campaign_figures(destination)
        shown = PageSettings(destination.uri, settings.language, made_at, settings.title, settings.zone)
    page = campaign_page(figures, shown).encode()
    if target is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(page)
        return STDOUT
    return replace_files({target: page})[0].path


def _target(output: str) -> Path | None:
    """Give the file to write, once it is sure that it can be; None for standard output."""
    if output == STDOUT:
        return None
    if not output.lower().endswith(_ENDINGS):
        raise SettingsError(
            f"the page can't be written to {output}", remedy="name a file that ends in .html, or - for stdout"
        )
    target = Path(output).expanduser()
    refuse_planted_link(target)
    target = target.resolve() if target.is_symlink() else target
    if target.is_dir():
        raise SettingsError(f"the page can't be written to {output}: it is a directory", remedy="name a file")
    refuse_inside_dataset(target)
    try_writing(target)
    return target


def _check_zone(zone: str | None) -> None:
    if zone is None:
        return
    try:
        known = bool(re.fullmatch(r"[A-Za-z0-9_+\-/]+", zone)) and ZoneInfo(zone) is not None
    except (KeyError, ValueError, OSError):
        known = False
    if not known:
        raise SettingsError(f"there is no time zone {zone!r}", remedy="name one such as Europe/Paris, or UTC")


def _check_libraries() -> None:
    try:
        import jinja2  # noqa: F401  # the page's template
        import vl_convert  # noqa: F401  # the page's charts
    except ModuleNotFoundError as exc:
        missing = exc.name
    else:
        return
    raise SettingsError(f"the report needs {missing}", remedy="pip install 'smspartner-connector[report]'")
