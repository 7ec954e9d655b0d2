"""Log records on stderr, as text or as one JSON object a line; always redacted, whoever wrote them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from smspartner.redaction import REDACT


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Write one record, without any secret."""
        return REDACT(super().format(record))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Write one record as a JSON object, without any secret."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return REDACT(json.dumps(fields, ensure_ascii=False))


def configure_logging(level: str, style: str) -> None:
    """Send all log records of the process, from `level` on, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    text = _TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if style == "json" else text)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
