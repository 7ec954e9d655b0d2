"""dlt's declarative `rest_api` source: statuses of every tag, by page number until a page is empty."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_source

IN_FLIGHT = 32
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["EXTRACT__WORKERS"] = os.environ["EXTRACT__MAX_PARALLEL_ITEMS"] = str(IN_FLIGHT)


def configuration(base_url: str, tags: list[str]) -> dict[str, object]:
    """Declare where the API is, how it is paged, and what is read."""
    statuses = {
        "name": "statuses",
        "endpoint": {
            "path": "bulk-status-by-tag",
            "params": {"tag": "{resources.tags.tag}"},
            "data_selector": "StatutResponse_List",
        },
        "include_from_parent": ["tag"],
        "parallelized": True,
    }
    return {
        "client": {
            "base_url": base_url,
            "auth": {
                "type": "api_key",
                "name": "apiKey",
                "api_key": os.environ["SMSPARTNER_API_KEY"],
                "location": "query",
            },
            "paginator": {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": None},
        },
        "resources": [dlt.resource([[{"tag": tag}] for tag in tags], name="tags", selected=False), statuses],
    }


def main() -> None:
    """Run the pipeline."""
    base_url, tags, directory = sys.argv[1:]
    pipeline = dlt.pipeline(
        "smspartner_rest",
        pipelines_dir=str(Path(directory).with_name("pipelines")),
        destination=dlt.destinations.filesystem(Path(directory).resolve().as_uri()),
        dataset_name="sms",
    )
    source = rest_api_source(configuration(base_url, Path(tags).read_text(encoding="utf-8").split()))
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()


if __name__ == "__main__":
    main()
