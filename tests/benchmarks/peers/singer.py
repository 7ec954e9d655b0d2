"""A tap piped into a target, both made with the Singer SDK; the target writes Parquet, a file for each batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import requests
import singer_sdk.typing as th
from singer_sdk import BatchSink, RESTStream, Stream, Tap, Target
from singer_sdk.helpers.types import Context
from singer_sdk.pagination import PageNumberPaginator

PAGE_ROWS = 1000


class Pages(PageNumberPaginator):
    """Page after page, until the total is reached."""

    def has_more(self, response: requests.Response) -> bool:
        """Tell whether there is a page after this one."""
        body = response.json()
        return bool(body["currentPage"] * PAGE_ROWS < body["total"])


class Statuses(RESTStream[int]):
    """The statuses of every tag."""

    name = "statuses"
    path = "/bulk-status-by-tag"
    records_jsonpath = "$.StatutResponse_List[*]"
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("tag", th.StringType),
        th.Property("phoneNumber", th.StringType),
        th.Property("status", th.StringType),
        th.Property("stopSMS", th.BooleanType),
        th.Property("date", th.StringType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """Where the API is."""
        return str(self.config["base_url"])

    @property
    def partitions(self) -> list[dict[str, Any]]:
        """One partition a tag; the SDK adds its tag to each record."""
        return [{"tag": tag} for tag in Path(self.config["tags_file"]).read_text(encoding="utf-8").split()]

    def get_new_paginator(self) -> Pages:
        """Begin at the first page."""
        return Pages(1)

    def get_url_params(self, context: Context | None, next_page_token: int | None) -> dict[str, Any]:
        """Give the parameters of one request."""
        return {"apiKey": self.config["api_key"], "tag": (context or {})["tag"], "page": next_page_token}


class SmsTap(Tap):
    """Reads statuses."""

    name = "tap-smspartner"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("tags_file", th.StringType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Give the one stream."""
        return [Statuses(self)]


class ParquetSink(BatchSink):
    """Writes each batch as a file."""

    max_size = 100_000

    def process_batch(self, context: dict[str, Any]) -> None:
        """Write one batch."""
        folder = Path(self.config["directory"], self.stream_name)
        folder.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(context["records"]), folder / f"{context['batch_id']}.parquet")


class ParquetTarget(Target):
    """Writes what it is told to a directory."""

    name = "target-parquet"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("directory", th.StringType, required=True)
    ).to_dict()
    default_sink_class = ParquetSink


def main() -> None:
    """Pipe the one into the other."""
    base_url, tags, directory = sys.argv[1:]
    config = Path(directory).with_name("config.json")
    given = {"base_url": base_url, "api_key": os.environ["SMSPARTNER_API_KEY"], "tags_file": tags}
    config.write_text(json.dumps({**given, "directory": directory}), encoding="utf-8")
    side = [sys.executable, __file__, "--config", str(config)]
    with subprocess.Popen([*side[:2], "tap", *side[2:]], stdout=subprocess.PIPE) as tap:
        target = subprocess.run(
            [*side[:2], "target", *side[2:]], stdin=tap.stdout, stdout=subprocess.DEVNULL, check=False
        )
    sys.exit(tap.returncode or target.returncode)


if __name__ == "__main__":
    if sys.argv[1] in {"tap", "target"}:
        (SmsTap if sys.argv.pop(1) == "tap" else ParquetTarget).cli()
    else:
        main()
