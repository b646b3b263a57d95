"""Other people's metrics in a real Prometheus: what each preset reads, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import psycopg_pool
import pytest
from prometheus_client.parser import text_string_to_metric_families

from poolkit.errors import BadInput
from poolkit.observe.averages import corrected
from poolkit.observe.preset import SECONDS, AveragesPreset, Quantity, known, load, reading, selector
from poolkit.observe.run import Observation, observe
from poolkit.targets import Target, load_targets
from tests.analysis.day import day
from tests.analysis.test_averages import PARALLEL, erlang
from tests.house import PACKAGE
from tests.monitor.prometheus import Prometheus

FORMATS = Path(__file__).parent / "formats"
OTHERS = [name for name in known() if name != "poolkit"]
SIZE = 16
# The presets that count no calls, so that no size can be told.
UNCOUNTED = {"go_sql", "opentelemetry_node", "sqlalchemy"}
# What a scrape calls the pool, where not orders-db.
POOLS = {
    "opentelemetry_node": "127.0.0.1:49605/lab",
    "pgbouncer": "lab",
    "pgbouncer_spreaker": "lab",
}


def pool_of(preset: str) -> str:
    return POOLS.get(preset, "orders-db")


def averages_of(preset: str) -> AveragesPreset:
    found = load(preset)
    assert isinstance(found, AveragesPreset)
    return found


def scrape(preset: str) -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each sample that the exporter wrote."""
    text = (FORMATS / f"{preset}.txt").read_text(encoding="utf-8")
    families = text_string_to_metric_families(text)
    return [(one.name, one.labels, one.value) for family in families for one in family.samples]


def quantity_of(preset: AveragesPreset, pool: str, name: str, labels: dict[str, str]) -> str:
    """The quantity that the preset reads from a sample; empty: none."""
    for key in type(preset.averages).model_fields:
        one: Quantity | None = getattr(preset.averages, key)
        if one is not None and name in one.name.split("|"):
            wanted = one.labels | {one.pool_label or preset.pool_label: pool}
            if wanted.items() <= labels.items():
                return key
    return ""


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
    none = np.zeros(windows.ends.size)
    figures = {
        "in_use": windows.in_use,
        "size": none + SIZE,
        "waiting": none,
        "acquired": calls,
        "waited": waited,
        "wait": wait,
        "timeouts": none,
    }
    ends = ended - 5.0 * np.arange(windows.ends.size)[::-1]
    lines = []

    def add(preset: str, job: str, changes: Mapping[str, str] = MappingProxyType({})) -> None:
        of = averages_of(preset)
        for name, labels, value in scrape(preset):
            key = quantity_of(of, pool_of(preset), name, labels)
            row = none + value
            if key == "hold":
                # As the exporter counts: rounded down, and with the wait in it.
                hold = of.averages.hold
                assert hold is not None
                row = (held - 0.5 * hold.step * calls + hold.has_waits * wait) / SECONDS[hold.unit]
            elif key:
                row = figures[key] / SECONDS[getattr(of.averages, key).unit]
            pairs = [f"{k}={json.dumps(v)}" for k, v in (labels | {"job": job}).items()]
            head = f"{name}{{{','.join(pairs)}}}"
            for old, new in changes.items():
                head = head.replace(old, new)
            # A family's samples belong together, so one series at a time.
            lines.extend(f"{head} {v:.6f} {at:.3f}" for v, at in zip(row, ends, strict=True))

    for preset in OTHERS:
        add(preset, preset)
    # As if relabelling had changed the name of a counter that is needed and of some that are not.
    changes = {"usage_seconds_count": "use_seconds_count", "acquire_seconds": "get_seconds"}
    add("hikaricp", "renamed", changes | {"_pending": "_queued", "orders-db": "renamed"})
    with Prometheus("127.0.0.1:9", history="\n".join([*lines, "# EOF\n"])) as server:
        yield server.url


def target(folder: Path, url: str, preset: str, pool: str = "", job: str = "") -> Target:
    job = job or preset
    job = f', job = "{job}"' if job in OTHERS else ""
    pool = pool or pool_of(preset)
    file = folder / "targets.toml"
    file.write_text(
        "[targets.orders-db]\n"
        'driver = "asyncpg"\n'
        'dsn = "postgresql://u:p@127.0.0.1:9/orders"\n'
        'statements = ["select 1"]\n'
        "target_rate = 390\n"
        "wait_p99 = 0.010\n"
        f'production = {{ prometheus = "{url}", pool = "{pool}", preset = "{preset}"{job} }}\n',
        encoding="utf-8",
    )
    return load_targets(file, ("orders-db",))["orders-db"]


def see(folder: Path, url: str, ended: float, preset: str, pool: str = "") -> Observation:
    return observe(target(folder, url, preset, pool), 590.0, lambda _: None, until=ended)


@pytest.mark.parametrize("preset", OTHERS)
def test_the_names_units_and_meanings_are_the_exporters(preset: str) -> None:
    """Each scrape was made by 8 callers on 4 connections, about 21 ms of each: a preset says so."""
    of = averages_of(preset)
    told = {
        key: value
        for name, labels, value in scrape(preset)
        if (key := quantity_of(of, pool_of(preset), name, labels))
    }
    named = {key for key, one in of.averages if one is not None}
    # psycopg_pool counts timeouts from the first on.
    assert named - set(told) <= {"timeouts"}, named - set(told)
    assert told.get("in_use", 4.0) == 4.0
    assert told.get("size", 4.0) == 4.0
    assert 3.0 <= told.get("waiting", 4.0) <= 4.0
    assert preset in UNCOUNTED or {"acquired", "hold", "wait"} <= set(told)
    seconds = {
        key: np.array([told[key] * SECONDS[getattr(of.averages, key).unit]])
        for key in ("hold", "wait")
        if key in told
    }
    if (hold := of.averages.hold) is not None:
        calls = np.array([told["acquired"]])
        held = corrected(hold, seconds["hold"], calls, seconds["wait"])
        # Closed loop: of 8 callers 4 hold and 4 wait, so that both take as long.
        assert float(held[0] / calls[0]) == pytest.approx(0.0215, rel=0.04)
        assert float(seconds["wait"][0] / calls[0]) == pytest.approx(0.0215, rel=0.08)
    elif "wait" in told:
        assert float(seconds["wait"][0]) / told["waited"] == pytest.approx(0.0215, rel=0.08)


@pytest.mark.parametrize(
    ("preset", "calls", "counted", "held"),
    [
        ("psycopg_pool", 4633, 6.355, 1.704e-3),
        ("psycopg_pool", 2799, 6.763, 2.834e-3),
        ("hikaricp", 4076, 6.621, 1.944e-3),
        ("hikaricp", 2747, 6.936, 2.900e-3),
    ],
)
def test_times_counted_in_whole_milliseconds(
    preset: str, calls: int, counted: float, held: float
) -> None:
    """As the real pool counted while its callers saw so long a hold (s): 13 to 20 % too little."""
    hold = averages_of(preset).averages.hold
    assert hold is not None
    assert counted / calls < 0.88 * held
    seen = corrected(hold, np.array([counted]), np.array([float(calls)]), None)
    assert float(seen[0]) / calls == pytest.approx(held, rel=0.1)


@pytest.mark.parametrize("file", sorted(FORMATS.glob("*.txt")), ids=lambda file: file.stem)
def test_a_scrape_says_how_it_was_made(file: Path) -> None:
    """By running the exporter, whose version is named, or by hand after its source."""
    assert file.stem in OTHERS
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert re.match(r"# (Made by running it: .* \d+\.\d+|Hand-made after the source of \S+)", first)


def test_older_and_newer_names_are_both_read() -> None:
    """A metric that versions name differently is selected by any of the names."""
    of = averages_of("pgbouncer")
    wait = of.averages.wait
    assert wait is not None
    assert selector(wait, of.pool_label, "shop", ',job="p"') == (
        '{__name__=~"pgbouncer_stats_totals_client_wait_seconds_total|'
        'pgbouncer_stats_client_wait_seconds_total",database="shop",job="p"}'
    )


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
    hold = averages_of(preset).averages.hold
    is_rounded = hold is not None and hold.step > 0
    assert is_rounded == any("rounded down" in one for one in found.refuses)
    if preset in UNCOUNTED:
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


def test_the_preset_that_reads_what_is_there_is_named(
    tmp_path: Path, prometheus: str, ended: float
) -> None:
    """Where an exporter has several, or a target the wrong one."""
    for preset in OTHERS:
        assert preset in reading({name for name, _, _ in scrape(preset)})
    there = "opentelemetry_node"
    one = target(tmp_path, prometheus, "opentelemetry", pool_of(there), job=there)
    with pytest.raises(BadInput) as caught:
        observe(one, 590.0, lambda _: None, until=ended)
    assert f'set production.preset = "{there}"' in caught.value.remedy


def test_presets_of_ones_own(tmp_path: Path, prometheus: str, ended: float) -> None:
    """Without a label for the pool, and with a wait that the hold time cannot be told without."""
    own = tmp_path / "own.toml"
    preset = (PACKAGE / "observe/presets/psycopg_pool.toml").read_text(encoding="utf-8")
    own.write_text(preset.replace('pool_label = "pool"', 'pool_label = ""'), encoding="utf-8")
    one = target(tmp_path, prometheus, str(own), "all", job="psycopg_pool")
    r = observe(one, 590.0, lambda _: None, until=ended).recommendation
    assert r.recommended_size is not None
    assert abs(r.recommended_size - erlang(390 * 0.025, 390.0)) <= 2
    preset = (PACKAGE / "observe/presets/pgbouncer_spreaker.toml").read_text(encoding="utf-8")
    own.write_text(preset.replace("_waiting_duration_", "_wait_"), encoding="utf-8")
    one = target(tmp_path, prometheus, str(own), "lab", job="pgbouncer_spreaker")
    with pytest.raises(BadInput) as caught:
        observe(one, 590.0, lambda _: None, until=ended)
    assert "did you mean pgbouncer_stats_waiting_duration_micro" in caught.value.cause


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pool_label = 'p'\n[averages]\nin_usage = 'a'", "did you mean in_use?"),
        ("pool_label = 'p'\n[averages]\nin_use = {nam = 'a'}", "did you mean name?"),
        ("pool_lable = 'p'\n[averages]\nin_use = 'a'", "did you mean pool_label?"),
        ("pool_label = 'p'\n[averages]\nin_use = 'a b'", "averages.in_use.name"),
        ("pool_label = 'p'\n[averages]\nhold = {name = 'a', unit = 'h'}", "'s', 'ms' or 'us'"),
        ("pool_label = 'p'\n[averages]\nsize = 'a'", "neither hold nor in_use"),
        ("pool_label = 'p'\n[averages]\nin_use = 'a|'", "averages.in_use.name"),
        ("pool_label = 'p'\n[averages]\nhold = {name = 'a', step = 0.001}", "without acquired"),
        ("pool_label = 'p'\n[averages]\nhold = {name = 'a', has_waits = true}", "without wait"),
        ("pool_label = ", "is not TOML"),
        (f"pool_label = {'[' * 5000}", "cannot be read as TOML"),
        (f"pool_label = {'9' * 5000}", "cannot be read as TOML"),
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
    with pytest.raises(BadInput, match="no such file") as caught:
        load(str(tmp_path / "none.toml"))
    assert "production.preset" in caught.value.remedy
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(BadInput, match="no regular file"):
        load(str(tmp_path / "pipe.toml"))


def test_labels_of_every_letter() -> None:
    """A name beyond the first plane is one character, and not the halves that PromQL refuses."""
    wait = averages_of("pgbouncer").averages.waiting
    assert wait is not None
    assert selector(wait, "database", 'ü\U0001f600"', "").endswith('{database="ü\U0001f600\\""}')


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
