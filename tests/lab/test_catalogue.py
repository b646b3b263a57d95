"""The lab's targets as a targets.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.lab.catalogue import CATALOGUE, DSN_VARIABLE
from poolkit.lab.running import Lab
from poolkit.targets import load_targets


def text_of_all() -> str:
    return "\n".join(
        target.toml("http://127.0.0.1:8080/" if target.model else None)
        for target in CATALOGUE.values()
    )


def test_every_target_is_a_valid_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is read by the loader that users' files go through."""
    path = tmp_path / "targets.toml"
    path.write_text(text_of_all())
    monkeypatch.setenv(DSN_VARIABLE, "postgresql://lab:hidden@127.0.0.1:5432/lab")
    assert list(load_targets(path)) == ["lab-http", "lab-cpu", "lab-contended", "lab-db"]


def test_the_truth_stands_in_comments_only() -> None:
    """A sweep cannot read the answer: without the comments no table holds it."""
    for target in CATALOGUE.values():
        text = target.toml("http://127.0.0.1:8080/")
        assert f"# Truth: {target.truth}" in text
        keys = set(tomllib.loads(text)["targets"][target.name])
        assert keys <= {
            "driver", "url", "dsn_env", "statements", "target_rate", "wait_p99", "max_size",
        }  # fmt: skip


def test_target_rates_are_within_reach() -> None:
    """Each HTTP target asks for 50 to 80 % of its upstream's plateau."""
    for target in CATALOGUE.values():
        if target.model is not None:
            assert 0.5 < target.target_rate / target.model.plateau < 0.8, target.name


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """Before anything is started."""
    with pytest.raises(BadInput, match="lab-htp; did you mean lab-http"):
        Lab(["lab-htp"])


def test_targets_cannot_be_written_below_a_file(tmp_path: Path) -> None:
    """One message instead of a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot write"):
        Lab([]).write_targets(tmp_path / "file" / "targets.toml")
