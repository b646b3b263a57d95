"""Other people's metrics in a real Prometheus: what each preset reads, and what it refuses."""

from __future__ import annotations

import string
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg_pool
import pytest

from poolkit.errors import BadInput
from poolkit.observe.preset import AveragesPreset, known, load
from poolkit.observe.run import Observation, observe
from poolkit.targets import Target, load_targets
from tests.analysis.day import day
from tests.analysis.test_averages import PARALLEL, erlang
from tests.house import PACKAGE
from tests.monitor.prometheus import Prometheus

FORMATS = Path(__file__).parent / "formats"
OTHERS = [name for name in known() if name != "poolkit"]
SIZE = 16


@pytest.fixture(scope="module")
def ended() -> float:
    """Unix time (s) of the last scrape."""
    return float(int(time.time()) - 3600)


@pytest.fixture(scope="module")
def prometheus(ended: float) -> Iterator[str]:
    """One that scraped a simulated day, of pools of every kind, every five seconds."""
    windows = day(PARALLEL, SIZE)
    calls, held, wait = map(np.cumsum, (windows.asks, windows.holds.total, windows.waits.total))
    waited = np.cumsum(windows.waits.counts[:, -1] - windows.waits.counts[:, 0])
    lines = []
    for file in sorted(FORMATS.glob("*.txt")):
        text = file.read_text(encoding="utf-8").splitlines()
        samples = [string.Template(line) for line in text if not line.startswith("#")]
        # A family's samples belong together, so one line at a time.
        for sample in samples:
            for row, busy in enumerate(windows.in_use):
                figures = {
                    "in_use": round(float(busy), 2),
                    "idle": round(SIZE - float(busy), 2),
                    "size": SIZE,
                    "calls": calls[row],
                    "queries": 3 * calls[row],
                    "held": held[row],
                    "held_ms": 1000.0 * held[row],
                    "wait": wait[row],
                    "wait_ms": 1000.0 * wait[row],
                    "waited": waited[row],
                }
                at = ended - 5.0 * (windows.ends.size - 1 - row)
                name, _, rest = sample.substitute(figures).rpartition(" ")
                job = f'job="{file.stem}"'
                name = f"{name[:-1]},{job}}}" if name.endswith("}") else f"{name}{{{job}}}"
                lines.append(f"{name} {rest} {at:.3f}")
    with Prometheus("127.0.0.1:9", history="\n".join([*lines, "# EOF\n"])) as server:
        yield server.url


def target(folder: Path, url: str, preset: str, pool: str = "orders-db", rate: int = 390) -> Target:
    job = f', job = "{preset}"' if preset in OTHERS else ""
    file = folder / "targets.toml"
    file.write_text(
        "[targets.orders-db]\n"
        'driver = "asyncpg"\n'
        'dsn = "postgresql://u:p@127.0.0.1:9/orders"\n'
        'statements = ["select 1"]\n'
        f"target_rate = {rate}\n"
        "wait_p99 = 0.010\n"
        f'production = {{ prometheus = "{url}", pool = "{pool}", preset = "{preset}"{job} }}\n',
        encoding="utf-8",
    )
    return load_targets(file, ("orders-db",))["orders-db"]


def see(folder: Path, url: str, ended: float, preset: str, **more: str) -> Observation:
    return observe(target(folder, url, preset, **more), 590.0, lambda _: None, until=ended)


@pytest.mark.parametrize("preset", OTHERS)
def test_what_it_reads_and_refuses(
    tmp_path: Path, prometheus: str, ended: float, preset: str
) -> None:
    """Load, and what the names allow; where calls are counted a size, its source named."""
    r = see(tmp_path, prometheus, ended, preset).recommendation
    assert r.production is not None
    found = r.production.averages
    assert found is not None
    assert found.offered_load == pytest.approx(0.625 * 400 * 0.025, rel=0.1)
    assert f"from averages of {preset}" in r.production.source
    if preset != "sqlalchemy":
        assert found.utilisation == pytest.approx(found.offered_load / SIZE)
    if preset in ("go_sql", "sqlalchemy"):
        assert (found.rate, found.hold_time, r.recommended_size) == (None, None, None)
        assert any("calls are not counted" in one for one in found.refuses)
        assert not found.assumes
        return
    assert found.rate == pytest.approx(250.0, rel=0.1)
    assert found.hold_time == pytest.approx(0.025, rel=0.05)
    assert found.wait is not None
    assert found.wait < 0.001
    assert r.recommended_size is not None
    assert abs(r.recommended_size - erlang(390 * 0.025, 390.0)) <= 2
    assert r.production.today.is_trusted, r.production.today.because


def test_a_renamed_metric_is_named_with_the_nearest(
    tmp_path: Path, prometheus: str, ended: float
) -> None:
    """One that a size needs is an error, with what there is."""
    own = tmp_path / "own.toml"
    preset = (PACKAGE / "observe/presets/hikaricp.toml").read_text(encoding="utf-8")
    own.write_text(preset, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        see(tmp_path, prometheus, ended, str(own), pool="renamed")
    assert "did you mean hikaricp_connections_use_seconds_count?" in caught.value.cause
    own.write_text(preset.replace("usage_seconds_count", "use_seconds_count"), encoding="utf-8")
    r = see(tmp_path, prometheus, ended, str(own), pool="renamed").recommendation
    assert r.recommended_size is not None
    assert r.production is not None
    assert r.production.averages is not None
    assert any("acquire_seconds_sum" in one for one in r.production.averages.refuses)
    assert not r.production.today.is_trusted
    with pytest.raises(BadInput, match="there are: orders-db, renamed"):
        see(tmp_path, prometheus, ended, str(own), pool="order-db")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pool_label = 'p'\n[averages]\nin_usage = 'a'", "did you mean in_use?"),
        ("pool_label = 'p'\n[averages]\nin_use = {nam = 'a'}", "did you mean name?"),
        ("pool_lable = 'p'\n[averages]\nin_use = 'a'", "did you mean pool_label?"),
        ("pool_label = 'p'\n[averages]\nin_use = 'a b'", "averages.in_use.name"),
        ("pool_label = 'p'\n[averages]\nhold = {name = 'a', unit = 'h'}", "'s', 'ms' or 'us'"),
        ("pool_label = 'p'\n[averages]\nsize = 'a'", "neither hold nor in_use"),
        ("pool_label = ", "is no TOML"),
        ("", "pool_label: Field required"),
    ],
)
def test_a_preset_of_ones_own_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    """Told with the nearest key."""
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load(str(own))
    assert words in caught.value.cause


def test_presets_that_are_not_there(tmp_path: Path) -> None:
    """The nearest that is, or the file."""
    with pytest.raises(BadInput, match="did you mean hikaricp"):
        load("hikari")
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        load(str(tmp_path / "none.toml"))


def test_psycopgs_names_are_the_librarys() -> None:
    """Every key that the preset reads is one of the installed get_stats()."""
    preset = load("psycopg_pool")
    assert isinstance(preset, AveragesPreset)
    quantities = [getattr(preset.averages, key) for key in type(preset.averages).model_fields]
    keys = {one.name.removeprefix("psycopg_pool_") for one in quantities if one is not None}
    pool = psycopg_pool.ConnectionPool("", open=False)
    counted = {value for key, value in vars(psycopg_pool.base.BasePool).items()
               if key.startswith("_") and isinstance(value, str)}  # fmt: skip
    assert keys <= counted | set(pool.get_stats())
