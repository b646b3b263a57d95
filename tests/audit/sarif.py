"""The essential parts of the SARIF 2.1.0 schema (OASIS), as far as an audit writes them."""

from __future__ import annotations

from typing import Any


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


TEXT = {"type": "string", "minLength": 1}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
MESSAGE = _object(("text",), text=TEXT, markdown=TEXT)
# A URI reference (RFC 3986): what is no ASCII letter, digit or mark is percent-encoded.
URI = {
    "type": "string",
    "pattern": r"^([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-F]{2})+$",
}
REGION = _object(
    ("startLine", "startColumn"),
    startLine={"type": "integer", "minimum": 1},
    startColumn={"type": "integer", "minimum": 1},
)
PLACE = _object(("artifactLocation",), artifactLocation=_object(("uri",), uri=URI), region=REGION)
LOCATIONS = _list(_object(("physicalLocation",), physicalLocation=PLACE))
RULE = _object(
    ("id",),
    id=TEXT,
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    defaultConfiguration=_object((), level=LEVEL),
)
RESULT = _object(
    ("message",),
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=MESSAGE,
    locations=LOCATIONS,
)
NOTIFICATION = _object(("message",), level=LEVEL, message=MESSAGE, locations=LOCATIONS)
INVOCATION = _object(
    ("executionSuccessful",),
    executionSuccessful={"type": "boolean"},
    toolExecutionNotifications=_list(NOTIFICATION),
)
DRIVER = _object(("name",), name=TEXT, version=TEXT, rules=_list(RULE))
RUN = _object(
    ("tool",),
    tool=_object(("driver",), driver=DRIVER),
    results=_list(RESULT),
    invocations=_list(INVOCATION),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
)
SCHEMA = _object(
    ("version", "runs"),
    **{"$schema": URI},
    version={"const": "2.1.0"},
    runs=_list(RUN),
)
