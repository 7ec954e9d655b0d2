"""Log records on stderr, as text or as one JSON object a line; always redacted, those of libraries, too."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from smspartner.redaction import REDACT

from smspartner_pipelines.output import redacting


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Write one record as a JSON object."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info or record.exc_text:  # a traceback that held a secret is text by now
            fields["exception"] = record.exc_text or self.formatException(record.exc_info)  # type: ignore[arg-type]
        return REDACT.json(fields, ensure_ascii=False)


def configure_logging(level: str, style: str) -> None:
    """Send all log records of the process, from `level` on, to stderr."""
    handler = logging.StreamHandler(redacting(sys.stderr))
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if style == "json" else text)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
