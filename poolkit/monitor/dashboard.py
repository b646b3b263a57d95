"""The Grafana dashboard of the exported gauges, ready to import."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

FILE = "dashboard.json"


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's JSON model; `json.dump` it into a provisioning folder.

    It asks for a Prometheus data source, and lets one choose jobs and pools.
    """
    content: dict[str, Any] = json.loads(
        files("poolkit.monitor").joinpath(FILE).read_text(encoding="utf-8")
    )
    return content
