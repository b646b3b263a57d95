"""Whose names the metrics of a pool have: one TOML file each in `presets`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from poolkit.errors import BadInput
from poolkit.targets.words import nearest


@dataclass(frozen=True, slots=True)
class Preset:
    """The names of the series, and of the labels that pools and states go by."""

    pool_label: str
    state_label: str
    state_seconds: str
    state_releases: str
    asks: str
    wait: str
    hold: str
    size: str
    peak: str


def load(name: str) -> Preset:
    """The preset of this name.

    Raises:
        BadInput: there is none.
    """
    files = resources.files("poolkit.observe") / "presets"
    known = sorted(file.name[:-5] for file in files.iterdir() if file.name.endswith(".toml"))
    if name not in known:
        raise BadInput(
            f"production.preset: there is no {name!r}{nearest(name, known)}",
            f"choose one of: {', '.join(known)}",
        )
    found = tomllib.loads((files / f"{name}.toml").read_text(encoding="utf-8"))
    return Preset(found["pool_label"], found["state_label"], **found["metrics"])
