"""The campaign report: counted, made into a page, written as a whole."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from smspartner.errors import SettingsError
from smspartner.redaction import REDACT
from smspartner.vendor import LOCAL_TIME_ZONE

from smspartner_pipelines.load.export import stdout_descriptor
from smspartner_pipelines.load.files import os_errors, refuse_planted_link, replace_files, try_writing
from smspartner_pipelines.load.folder import refuse_inside_dataset
from smspartner_pipelines.pages.campaign_figures import campaign_figures
from smspartner_pipelines.pages.campaign_look import FAR_POINTS, Look
from smspartner_pipelines.pages.campaign_page import campaign_page
from smspartner_pipelines.pages.campaign_texts import Language, Texts
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
    zone: str = LOCAL_TIME_ZONE
    far: float = FAR_POINTS


def write_campaign_report(settings: ReportSettings) -> str:
    """Write the page; return where it is.

    Raises:
        SettingsError: a setting is wrong, a library is missing, or nothing is loaded.
        DestinationError: the destination can't be read, or the page can't be written; an old page stays.
    """
    zone, target = _zone(settings.zone), _target(settings.output)
    with open_loaded(settings.destination, shown=True) as destination:
        figures = campaign_figures(destination)
        place = destination.uri
    if not figures.campaigns:
        raise SettingsError(f"no tag was ever loaded into {place}", remedy="run `smspartner run` first")
    texts = Texts(settings.language, zone, datetime.now(UTC))
    page = campaign_page(Look(figures, texts, REDACT(place), settings.far), settings.title)
    if target is None:
        with os_errors("writing standard output"), open(stdout_descriptor(), "wb", closefd=False) as stdout:
            stdout.write(page)
        return STDOUT
    return replace_files({target: page})[0].path


def _target(output: str) -> Path | None:
    """Give the file to write, once it is sure that it can be; None for standard output."""
    if output == STDOUT:
        stdout_descriptor()
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


def _zone(name: str) -> ZoneInfo:
    zone = None
    if re.fullmatch(r"[A-Za-z0-9_+\-/]+", name):
        with suppress(KeyError, ValueError, OSError):
            zone = ZoneInfo(name)
    if zone is None:
        raise SettingsError(f"there is no time zone {name!r}", remedy="name one such as Europe/Paris, or UTC")
    return zone
