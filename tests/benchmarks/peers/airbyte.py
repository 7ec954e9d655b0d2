"""An Airbyte source, declared as in its connector builder, whose records a minimal reader writes as Parquet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

IN_FLIGHT = 32
_BATCH_ROWS = 50_000
_COLUMNS = {"tag": "string", "phoneNumber": "string", "status": "string", "stopSMS": "boolean", "date": "string"}
_ARROW = pa.schema({name: pa.bool_() if kind == "boolean" else pa.string() for name, kind in _COLUMNS.items()})


def manifest(tags: list[str]) -> dict[str, object]:
    """Declare the source: how it is asked, paged, and split into tags."""
    requester = {
        "type": "HttpRequester",
        "url_base": "{{ config['base_url'] }}",
        "path": "bulk-status-by-tag",
        "http_method": "GET",
        "request_parameters": {"apiKey": "{{ config['api_key'] }}", "tag": "{{ stream_partition.tag }}"},
    }
    retriever = {
        "type": "SimpleRetriever",
        "requester": requester,
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["StatutResponse_List"]},
        },
        "paginator": {
            "type": "DefaultPaginator",
            "pagination_strategy": {
                "type": "PageIncrement",
                "start_from_page": 1,
                "page_size": 1000,
                "inject_on_first_request": True,
            },
            "page_token_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "page"},
        },
        "partition_router": {"type": "ListPartitionRouter", "values": tags, "cursor_field": "tag"},
    }
    stream = {
        "type": "DeclarativeStream",
        "name": "statuses",
        "retriever": retriever,
        "schema_loader": {
            "type": "InlineSchemaLoader",
            "schema": {"type": "object", "properties": {name: {"type": kind} for name, kind in _COLUMNS.items()}},
        },
        "transformations": [
            {"type": "AddFields", "fields": [{"path": ["tag"], "value": "{{ stream_partition.tag }}"}]}
        ],
    }
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["statuses"]},
        "streams": [stream],
        "concurrency_level": {"type": "ConcurrencyLevel", "default_concurrency": IN_FLIGHT},
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }


def catalog() -> dict[str, object]:
    """Ask for the one stream, in full."""
    stream = {"name": "statuses", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    return {"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}]}


def source(tags: str, arguments: list[str]) -> None:
    """Be the source: Airbyte's messages on standard output."""
    from airbyte_cdk.entrypoint import launch
    from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
    from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

    declared = manifest(Path(tags).read_text(encoding="utf-8").split())
    config = json.loads(Path(arguments[arguments.index("--config") + 1]).read_text(encoding="utf-8"))
    given = ConfiguredAirbyteCatalogSerializer.load(catalog())
    launch(ConcurrentDeclarativeSource(source_config=declared, config=config, catalog=given, state=[]), arguments)


def records(messages: Iterator[bytes]) -> Iterator[dict[str, object]]:
    """Read the records among the messages."""
    for line in messages:
        message = orjson.loads(line)
        if message["type"] == "RECORD":
            yield message["record"]["data"]


def write(rows: Iterator[dict[str, object]], path: Path) -> None:
    """Write records as one file."""
    with pq.ParquetWriter(path, _ARROW, compression="zstd") as writer:
        while some := list(islice(rows, _BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema=_ARROW))


def main() -> None:
    """Run the source, and read what it says."""
    base_url, tags, directory = sys.argv[1:]
    beside = Path(directory).parent
    config = {"base_url": base_url, "api_key": os.environ["SMSPARTNER_API_KEY"]}
    (beside / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (beside / "catalog.json").write_text(json.dumps(catalog()), encoding="utf-8")
    arguments = ["read", "--config", str(beside / "config.json"), "--catalog", str(beside / "catalog.json")]
    with subprocess.Popen([sys.executable, __file__, "source", tags, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        write(records(process.stdout), Path(directory, "statuses.parquet"))
    sys.exit(process.returncode)


if __name__ == "__main__":
    if sys.argv[1] == "source":
        source(sys.argv[2], sys.argv[3:])
    else:
        main()
