"""The settings that the scripts of Spark share: quick for small jobs, and an event log to search."""

from __future__ import annotations

from pathlib import Path


def quick_settings(directory: str, **more: str) -> dict[str, str]:
    """Give the settings of a session, whose event log stands in `directory`."""
    events = Path(directory, "events")
    events.mkdir()
    return {
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # compiling pays for itself in longer jobs
        "spark.sql.codegen.wholeStage": "false",
        **more,
    }
