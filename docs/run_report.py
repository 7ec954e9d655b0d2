"""The JSON Schema of the run report: derives from the code what it states, and gives the reference page's tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from smspartner_pipelines.settings import Refresh, Validate
from smspartner_schemas.contract import (
    EXIT_MEANINGS,
    REPORT_VERSION,
    TAG_RUNS,
    VERDICT_MEANINGS,
    Column,
    ExitCode,
    PhoneForm,
)

SCHEMA = "schemas/smspartner_schemas/run_report.schema.json"
"""Written by hand, but for what `schema` puts into it."""

_TYPES = {"int32": "integer", "int64": "integer", "float64": "number", "bool": "boolean"}
"""Of columns; all others are strings."""


def schema(path: Path) -> str:
    """Give the schema in a file, with everything that the contract and the settings state as they state it."""
    made = json.loads(path.read_text(encoding="utf-8"))
    parts, fields = made["$defs"], made["properties"]
    made["$id"] = f"urn:smspartner-connector:run-report:{REPORT_VERSION}"
    fields["report_version"]["const"] = REPORT_VERSION
    fields["run_id"]["pattern"] = _whole(TAG_RUNS["run_id"].pattern)
    exits = {int(code): meaning for code, meaning in EXIT_MEANINGS.items() if code is not ExitCode.WRONG_SETTINGS}
    fields["exit_code"]["oneOf"] = _words(exits)
    parts["verdict"] = {"description": TAG_RUNS["verdict"].meaning, "type": "string", "oneOf": _words(VERDICT_MEANINGS)}
    parts["tag"] = {
        "title": "Tag",
        "description": f"a row of `{TAG_RUNS.name}`. {TAG_RUNS.meaning}",
        "type": "object",
        "required": list(TAG_RUNS.column_names),
        "properties": {
            **{column.name: _of_column(column) for column in TAG_RUNS.columns},
            "verdict": {"$ref": "#/$defs/verdict"},
        },
    }
    settings = parts["settings"]["properties"]
    settings["phone_numbers"]["enum"] = list(get_args(PhoneForm))
    settings["refresh"]["enum"] = list(get_args(Refresh))
    settings["validate"]["enum"] = parts["validation"]["properties"]["validate"]["enum"] = list(get_args(Validate))
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _words(meanings: Mapping[Any, str]) -> list[dict[str, Any]]:
    return [{"const": word, "description": meaning} for word, meaning in meanings.items()]


def _whole(pattern: str | None) -> str:
    return f"^({pattern})$"


def _of_column(column: Column) -> dict[str, Any]:
    kind = _TYPES.get(column.type, "string")
    made: dict[str, Any] = {"description": column.meaning, "type": [kind, "null"] if column.nullable else kind}
    if column.type == "timestamp":
        made["format"] = "date-time"
    if column.pattern:
        made["pattern"] = _whole(column.pattern)
    if isinstance(column.minimum, int):
        made["minimum"] = column.minimum
    return made


def tables(path: Path) -> str:
    """Give the fields of the report and of each object in it, as tables in Markdown, and the example."""
    made = json.loads(path.read_text(encoding="utf-8"))
    parts = {"": made, **{f"#/$defs/{name}": part for name, part in made["$defs"].items()}}
    example = json.dumps(made["examples"][0], indent=2, ensure_ascii=False)
    sections = [_section(part, parts) for part in parts.values() if "title" in part]
    return "\n\n".join([*sections, f"## Example\n\n```json\n{example}\n```"])


def _section(part: dict[str, Any], parts: dict[str, Any]) -> str:
    said = part["description"][0].upper() + part["description"][1:].removesuffix(".")
    rows = [_row(name, field, parts) for name, field in part["properties"].items()]
    return "\n".join([f"## {part['title']}", "", f"{said}.", "", "| field | type | meaning |", "|---|---|---|", *rows])


def _row(name: str, field: dict[str, Any], parts: dict[str, Any]) -> str:
    meaning = field.get("description") or parts[field["$ref"]]["description"]
    words = ", ".join(f"`{word}`" for word in field.get("enum", ()))
    return f"| `{name}` | {_kind(field, parts)} | {meaning}{f': {words}' if words else ''} |"


def _kind(field: dict[str, Any], parts: dict[str, Any]) -> str:
    """Name the type of a field; an object that has a section is a link to it."""
    if of := field.get("$ref"):
        title = parts[of].get("title")
        return f"[{title}](#{title.lower()})" if title else "[verdict](outcomes.md#verdicts)"
    if "oneOf" in field:
        return "[exit code](outcomes.md#exit-codes)"
    kinds = field.get("type", "integer" if "const" in field else "string")
    kind, *null = kinds if isinstance(kinds, list) else [kinds]
    if kind == "array":
        kind = f"list of {_kind(field['items'], parts)}"
    elif kind == "object":
        kind = f"object of {_kind(field['additionalProperties'], parts)}"
    return " or ".join([field.get("format", kind), *null])
