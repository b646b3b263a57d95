"""Which mistakes are told of a targets.toml, and in which order: the cause before what follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.targets import load_targets

GOOD = """\
[targets.orders-api]
driver = "aiohttp"
url = "http://127.0.0.1:9/orders"
target_rate = 500
"""


def told(tmp_path: Path, text: str, *only: str) -> list[str]:
    """The lines about single mistakes."""
    path = tmp_path / "targets.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_targets(path, only)
    return [line.strip() for line in refused.value.cause.splitlines()[1:]]


@pytest.mark.parametrize(("key", "typed"), [("target_rate", "targt_rate"), ("driver", "drivr")])
def test_a_key_that_is_written_wrong_is_not_missing_as_well(
    tmp_path: Path, key: str, typed: str
) -> None:
    """One mistake was made, so one is told."""
    unknown = f"targets.orders-api.{typed}: unknown key; did you mean {key}?"
    assert told(tmp_path, GOOD.replace(key, typed))[0] == unknown
    assert not [line for line in told(tmp_path, GOOD.replace(key, typed)) if "required" in line]


def test_a_table_that_is_written_wrong_is_not_missing_as_well(tmp_path: Path) -> None:
    """`[target.orders-api]`."""
    found = told(tmp_path, GOOD.replace("[targets.", "[target."))
    assert found == ["target: unknown key; did you mean targets?"]


def test_a_target_that_is_not_there_is_told_first(tmp_path: Path) -> None:
    """Before mistakes of others."""
    found = told(tmp_path, GOOD + "max_size = 0\n", "order-api")
    assert found == [
        "targets.order-api: no such target; targets.toml has orders-api; did you mean orders-api?",
        "targets.orders-api.max_size: must be 1 or more, got 0",
    ]
