"""Whose names the metrics of a pool have: one TOML file each in `presets`, or one of the user's.

A file has a table `metrics`, of counters per number in use (see `poolkit.monitor`), or a table
`averages`, of the quantities that other pools export: each the name of a metric, or a table with
what selects its series and its unit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Container
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from poolkit.errors import BadInput
from poolkit.redact import printable
from poolkit.targets.metrics import quoted
from poolkit.targets.reading import read_toml
from poolkit.targets.words import nearest

Metric = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,200}$")]
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]{0,200}"
Names = Annotated[str, Field(pattern=rf"^{_NAME}(\|{_NAME}){{0,3}}$")]
Label = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,200}$")]
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class States(_Strict):
    """The names of poolkit.monitor's kind."""

    state_seconds: Metric
    state_releases: Metric
    asks: Metric
    wait: Metric
    hold: Metric
    size: Metric
    peak: Metric


class Quantity(_Strict):
    """Where one quantity is found."""

    name: Names  # of a metric; "a|b": whichever there is, as versions of the exporter have it
    labels: dict[Label, str] = Field(default_factory=dict, max_length=8)  # that its series have
    unit: Literal["s", "ms", "us"] = "s"  # of times; others have none
    pool_label: Label | None = None  # None: that of the preset
    step: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0  # s to which each time is rounded down
    has_waits: bool = False  # of hold: the time that calls waited is counted in it too


def _of_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


_Quantity = Annotated[Quantity, BeforeValidator(_of_name)]


class Averages(_Strict):
    """Where the quantities are found; None: they are not exported."""

    in_use: _Quantity | None = None  # gauge: connections in use
    size: _Quantity | None = None  # gauge: most connections of the pool
    waiting: _Quantity | None = None  # gauge: calls that wait
    acquired: _Quantity | None = None  # counter: calls
    hold: _Quantity | None = None  # counter: time that connections were held
    waited: _Quantity | None = None  # counter: calls that had to wait
    wait: _Quantity | None = None  # counter: time that calls waited
    timeouts: _Quantity | None = None  # counter: calls that gave up waiting

    @property
    def sign_of_pool(self) -> Quantity:
        """The series that each pool has one of."""
        found = self.hold or self.in_use
        assert found is not None, "checked when it was read"
        return found


class _Names(_Strict):
    pool_label: Label | Literal[""]  # that names a pool; "": none does


class Preset(_Names):
    """The names of series per number in use, and of the labels that pools and states go by."""

    state_label: Label
    metrics: States


class AveragesPreset(_Names):
    """Where another library's quantities are found."""

    averages: Averages


def known() -> list[str]:
    """The presets that come with poolkit."""
    files = (resources.files("poolkit.observe") / "presets").iterdir()
    return sorted(file.name[:-5] for file in files if file.name.endswith(".toml"))


def load(name: str) -> Preset | AveragesPreset:
    """The preset of this name, or the one in a file (`own.toml`, from the working folder).

    Raises:
        BadInput: there is none, or it is not one.
    """
    if name.endswith(".toml"):
        remedy = f"choose one of: {', '.join(known())}"
        return _read(read_toml(Path(name), "production.preset", remedy), f"preset {name}")
    if name not in known():
        raise BadInput(
            f"production.preset: there is no {name!r}{nearest(name, known())}",
            f"choose one of: {', '.join(known())}; or name a file of your own: own.toml",
        )
    files = resources.files("poolkit.observe") / "presets"
    return _read(tomllib.loads((files / f"{name}.toml").read_text("utf-8")), f"preset {name}")


def reading(names: Container[str]) -> list[str]:
    """The presets, of those that come with poolkit, whose pools have a metric of these names."""
    presets = {name: load(name) for name in known()}
    return [
        name
        for name, one in presets.items()
        if isinstance(one, AveragesPreset)
        and any(part in names for part in one.averages.sign_of_pool.name.split("|"))
    ]


def _read(found: dict[str, Any], what: str) -> Preset | AveragesPreset:
    kind = AveragesPreset if "averages" in found or "metrics" not in found else Preset
    try:
        read = kind.model_validate(found)
    except ValidationError as error:
        wrong = [_mistake(one["loc"], one["type"], one["msg"]) for one in error.errors()]
        raise BadInput(
            f"{what}: {printable('; '.join(wrong))[:500]}",
            "those of poolkit are examples: poolkit/observe/presets",
        ) from None
    if isinstance(read, AveragesPreset):
        _check(read.averages, what)
    return read


def _check(averages: Averages, what: str) -> None:
    hold = averages.hold
    if not (hold or averages.in_use):
        raise BadInput(
            f"{what}: averages has neither hold nor in_use, so nothing can be told",
            'add in_use = "my_pool_connections_in_use"',
        )
    if hold and ((hold.step and not averages.acquired) or (hold.has_waits and not averages.wait)):
        needed = "acquired" if hold.step and not averages.acquired else "wait"
        raise BadInput(f"{what}: hold cannot be corrected without {needed}", f"add {needed}")


def _mistake(place: tuple[int | str, ...], kind: str, text: str) -> str:
    path = ".".join(map(str, place))
    if kind != "extra_forbidden":
        return f"{path}: {text}"
    tables: dict[str, type[BaseModel]] = {"metrics": States, "averages": Averages}
    fields = tables.get(str(place[0])) if len(place) == 2 else None
    if fields is None:
        fields = Quantity if len(place) > 2 else AveragesPreset
    return f"{path} is no key{nearest(str(place[-1]), fields.model_fields)}"


def selector(quantity: Quantity, pool_label: str, pool: str, matchers: str) -> str:
    """The series of a quantity of one pool, as PromQL has it.

    Args:
        matchers: further ones, each with a comma before it.
    """
    label = quantity.pool_label or pool_label
    parts = [f"{label}={quoted(pool)}"] if label else []
    parts += [f"{key}={quoted(value)}" for key, value in quantity.labels.items()]
    return series(quantity.name, *parts, *filter(None, [matchers.removeprefix(",")]))


def series(name: str, *matchers: str) -> str:
    """The series of a metric, as PromQL has it; of several names ("a|b") those that there are."""
    if "|" in name:
        name, matchers = "", (f'__name__=~"{name}"', *matchers)
    return f"{name}{{{','.join(matchers)}}}"
