"""The lab's targets as a targets.toml."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, is_dataclass
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.lab.catalogue import ALL, CATALOGUE, DSN_VARIABLE, SIZING_CASES
from poolkit.lab.models import Workers
from poolkit.lab.running import Lab
from poolkit.targets import load_targets
from tests.bench.sizing_simulated import rows


def text_of_all() -> str:
    return "\n".join(
        target.toml("http://127.0.0.1:8080/" if target.model else None) for target in ALL.values()
    )


def test_every_target_is_a_valid_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is read by the loader that users' files go through."""
    path = tmp_path / "targets.toml"
    path.write_text(text_of_all())
    monkeypatch.setenv(DSN_VARIABLE, "postgresql://lab:hidden@127.0.0.1:5432/lab")
    targets = load_targets(path)
    assert list(CATALOGUE) == ["lab-http", "lab-cpu", "lab-contended", "lab-db"]
    assert list(targets) == [*CATALOGUE, *SIZING_CASES]
    assert [name for name, target in targets.items() if not target.read_only] == [
        "postgres-row-locks"
    ]


def test_sizes_are_held_against_twelve_upstreams_of_every_kind() -> None:
    """Workers of two sizes with times that vary from not at all to a lot, and five other kinds."""
    models = [case.model for case in SIZING_CASES.values()]
    workers = [model for model in models if isinstance(model, Workers)]
    assert len(SIZING_CASES) == 12
    assert {model.cv for model in workers} == {0.0, 0.5, 1.0, 2.0}
    assert {model.workers for model in workers} == {10, 28}
    assert {model.kind for model in models if model} == {"workers", "cpu", "contended", "mixed"}
    assert models.count(None) == 2


def test_no_case_is_an_upstream_that_poolkit_was_made_with() -> None:
    """Neither of the demo nor of the simulated tables: their truth is not known to the formulas."""
    known = {_figures(target.model) for target in CATALOGUE.values() if target.model}
    known |= {_figures(row.upstream) for row in rows()}
    assert len(known) >= 10
    cases = [_figures(case.model) for case in SIZING_CASES.values() if case.model]
    assert known.isdisjoint(cases)
    known_statements = {target.statements for target in CATALOGUE.values() if target.statements}
    databases = [case.statements for case in SIZING_CASES.values() if case.statements]
    assert len(databases) == 2
    assert known_statements.isdisjoint(databases)


def _figures(upstream: object) -> tuple[float, ...]:
    """The numbers that describe an upstream of the lab or of the simulator, its seed left out."""
    assert is_dataclass(upstream)
    assert not isinstance(upstream, type)
    found = asdict(upstream)
    found.pop("seed", None)
    share = found.pop("slow_share", 0.0)
    if "fast" in found:
        slow_factor = found["slow"] / found["fast"]
        return (found["workers"], found["fast"], found["cv"], share, round(slow_factor, 6))
    factor = found.pop("slow_factor", 1.0)
    burns = found.pop("cpu_cv", 0.0)
    return (*found.values(), *((share, factor) if share else ()), *((burns,) if burns else ()))


@pytest.mark.parametrize(("name", "share"), [("cpu-60", 0.6), ("cpu-80", 0.8), ("cpu-90", 0.9)])
def test_cpu_bound_cases_ask_for_their_share_of_the_plateau(name: str, share: float) -> None:
    """To a call per second."""
    case = SIZING_CASES[name]
    assert case.model is not None
    assert case.target_rate / case.model.plateau == pytest.approx(share, abs=0.002)


def test_the_truth_stands_in_comments_only() -> None:
    """A sweep cannot read the answer: without the comments no table holds it."""
    for target in ALL.values():
        text = target.toml("http://127.0.0.1:8080/")
        assert f"# Truth: {target.truth}" in text
        keys = set(tomllib.loads(text)["targets"][target.name])
        assert keys <= {
            "driver", "url", "dsn_env", "statements", "target_rate", "wait_p99", "max_size",
            "read_only",
        }  # fmt: skip


def test_target_rates_are_within_reach() -> None:
    """Each HTTP target asks for 50 to 90 % of its upstream's plateau, the demo's for less."""
    for name, target in ALL.items():
        if target.model is not None:
            most = 0.8 if name in CATALOGUE else 0.91
            assert 0.5 < target.target_rate / target.model.plateau < most, name


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """Before anything is started."""
    with pytest.raises(BadInput, match="lab-htp; did you mean lab-http"):
        Lab(["lab-htp"])


def test_database_targets_share_one_server() -> None:
    """One DSN for all of them; a lab without any has none."""
    assert len(Lab(["lab-db", "postgres-select", "postgres-row-locks"])._servers) == 1
    with pytest.raises(BadInput, match="no database in this lab"):
        Lab(["lab-cpu"]).database()


def test_targets_cannot_be_written_below_a_file(tmp_path: Path) -> None:
    """One message instead of a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot write"):
        Lab([]).write_targets(tmp_path / "file" / "targets.toml")
