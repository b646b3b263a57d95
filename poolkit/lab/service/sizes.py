"""The demo service's pools: three targets, and the pools.py for sizes of one's choice."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from poolkit.errors import BadInput
from poolkit.lab.catalogue import CATALOGUE
from poolkit.lab.running import Lab
from poolkit.recommend import recommend
from poolkit.records import Recommendation, Sizing, Verdict
from poolkit.review import codegen
from poolkit.review.export import read_recommended
from poolkit.targets import Target
from poolkit.targets.words import nearest

TARGET_RATE = 80.0  # calls/s of the service's busiest address
UPSTREAMS = ("lab-http", "lab-db")  # of the lab
# Sizes of a service that was not measured: the traffic keeps more connections busy on
# average (80 calls/s of some 14 and 25 ms each).
UNDERSIZED: Mapping[str, int] = {"orders-db": 1, "orders-history": 1, "quotes-api": 1}
# Smallest sizes with P(wait > 10 ms) below 1 % by Erlang C at 80 calls/s, hold times of 18 ms (a
# database read on a busy machine) and 25 ms. A review of the targets measures its own: --pools.
RECOMMENDED: Mapping[str, int] = {"orders-db": 5, "orders-history": 5, "quotes-api": 6}

_READ, _HTTP = CATALOGUE["lab-db"], CATALOGUE["lab-http"]
_TARGETS = tuple(
    replace(upstream, name=name, driver=driver, target_rate=TARGET_RATE, max_size=16)
    for name, driver, upstream in (
        ("orders-db", "asyncpg", _READ),
        ("orders-history", "sqlalchemy", _READ),
        ("quotes-api", "aiohttp", _HTTP),
    )
)


def targets_toml(lab: Lab, service: str = "") -> str:
    """What the service asks of its upstreams, as a targets.toml to review.

    Each call of the busiest address reads once from each.

    Args:
        service: URL of the service where it runs, so that its pools can be observed.
    """
    url = lab.upstream("lab-http").url
    tables = []
    for target in _TARGETS:
        table = target.toml(url if target.model is not None else None)
        if service:
            table += f'production = {{ metrics = "{service}/metrics", pool = "{target.name}" }}\n'
        tables.append(table)
    return "\n".join(tables)


def targets_of(lab: Lab) -> tuple[Target, ...]:
    """The same as targets."""
    tables = tomllib.loads(targets_toml(lab))["targets"]
    return tuple(Target(name=name, **table) for name, table in tables.items())


def pools_source(targets: tuple[Target, ...], sizes: Mapping[str, int]) -> str:
    """The text of a pools.py with these sizes, its time limits those of an unmeasured target."""
    return codegen.render([_chosen(target, sizes[target.name]) for target in targets], targets)


def reviewed_source(reviewed: Path, targets: tuple[Target, ...]) -> str:
    """The text of the pools.py that a review of these targets recommends, for where they are now.

    Args:
        reviewed: folder of a finished review, or its recommended.json.

    Raises:
        BadInput: it cannot be read, or has no size for one of them.
    """
    found = {entry.target: entry for entry in read_recommended(reviewed).targets}
    missing = [
        target.name
        for target in targets
        if target.name not in found or found[target.name].recommended_size is None
    ]
    if missing:
        raise BadInput(
            f"{reviewed} recommends no size for {', '.join(missing)}",
            "review the targets that the service writes with --targets-out, with more --budget",
        )
    return codegen.render([found[target.name] for target in targets], targets)


def parse_sizes(text: str) -> dict[str, int]:
    """Sizes from `undersized`, `recommended` or `orders-db=6,quotes-api=8`; the rest undersized.

    Raises:
        BadInput: a pool that is not there, or a size that is not 1 to 64.
    """
    named = {"undersized": UNDERSIZED, "recommended": RECOMMENDED}
    if text in named:
        return dict(named[text])
    sizes = dict(UNDERSIZED)
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in sizes:
            raise BadInput(
                f"--sizes: no pool named {name!r}{nearest(name, [*sizes, *named])}",
                f"it has {', '.join(sizes)}; or say undersized or recommended",
            )
        size = int(number) if number.isascii() and number.isdigit() else 0
        if not 1 <= size <= 64:
            raise BadInput(f"--sizes: {name} must be a whole number from 1 to 64")
        sizes[name] = size
    return sizes


def load_pools(path: Path) -> ModuleType:
    """The pools.py at `path` as a module.

    Raises:
        BadInput: there is none, or it is not one that poolkit wrote.
    """
    spec = importlib.util.spec_from_file_location("poolkit_service_pools", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BadInput(f"no such file: {path}", "name the pools.py of a finished review")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # data classes look their module up by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadInput(f"{path} cannot be imported: {error}", "review the targets again") from error
    if not hasattr(module, "open_pools"):
        raise BadInput(f"{path} has no open_pools()", "name the pools.py of a finished review")
    return module


def _chosen(target: Target, size: int) -> Recommendation:
    sizing = Sizing(
        target=target.name,
        verdict=Verdict(name="server_bound", evidence="chosen by hand, not measured"),
        points=(),
        knees=(),
        plateau=None,
        size=size,
        because="chosen by hand, not measured",
        limited_by="unknown",
        rate_per_pool=target.target_rate,
    )
    return recommend(target, sizing, None, (), "done", 0.0)
