"""manifest.json: versions, machine, parameters and hashes, and nothing about the person."""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import pytest

from poolkit.errors import BadInput
from poolkit.review.manifest import (
    HostFacts,
    changed_files,
    host_facts,
    is_same_machine,
    read_manifest,
    write_manifest,
)
from tests.recommend.examples import http_target

MACHINE = HostFacts(cores=4, cores_total=8, cpu="A", memory=16 * 2**30, os="Linux", kernel="6.1")


def test_every_file_is_listed_with_its_hash(tmp_path: Path) -> None:
    """All files but the manifest itself and hidden ones; a change is noticed, so is a loss."""
    (tmp_path / "report.html").write_text("<p>")
    (tmp_path / "pools.py").write_text("x = 1\n")
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "folder").mkdir()
    write_manifest(tmp_path, {}, created="2026-11-21T00:00:00Z")
    write_manifest(tmp_path, {}, created="2026-11-21T00:00:00Z")
    manifest = read_manifest(tmp_path)
    assert manifest.files == {
        "pools.py": hashlib.sha256(b"x = 1\n").hexdigest(),
        "report.html": hashlib.sha256(b"<p>").hexdigest(),
    }
    assert changed_files(tmp_path, manifest) == ()
    (tmp_path / "pools.py").write_text("x = 2\n")
    (tmp_path / "report.html").unlink()
    assert changed_files(tmp_path, manifest) == ("pools.py", "report.html")


def test_keys_of_the_contract(tmp_path: Path) -> None:
    """Schema, versions, host facts, parameters, files: no key more, none less."""
    parameters = {"seed": 1, "targets": {"orders-api": http_target().public_settings()}}
    document = json.loads(write_manifest(tmp_path, parameters).read_text())
    assert set(document) == {"schema", "created", "versions", "host", "parameters", "files"}
    assert document["schema"] == "poolkit.manifest/1"
    assert document["parameters"] == parameters
    assert set(document["host"]) == {"cores", "cores_total", "cpu", "memory", "os", "kernel"}
    assert document["versions"]["python"] == platform.python_version()
    assert {"poolkit", "numpy", "pydantic"} <= set(document["versions"])
    assert "pytest" not in document["versions"]


def test_it_names_no_host_person_or_path(tmp_path: Path) -> None:
    """A report can be handed on without telling where and by whom it was made."""
    text = write_manifest(tmp_path, {"seed": 1}).read_text()
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
    names = {platform.node(), getpass.getuser()} - {"localhost", ""}
    values = set(json.loads(text)["host"].values())
    assert not names & values


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"kernel": "6.2", "os": "Linux 13"}, True),  # an update
        ({"memory": int(15.5 * 2**30)}, True),  # the kernel kept more for itself
        ({"memory": 8 * 2**30}, False),
        ({"cpu": "B"}, False),
        ({"cores": 2}, False),
        ({"cores_total": 16}, False),
    ],
)
def test_which_machines_compare(changes: dict[str, Any], same: bool) -> None:
    """Throughput of two machines is only compared where processor, cores and memory agree."""
    other = MACHINE.model_copy(update=changes)
    assert is_same_machine(MACHINE, other) is same
    assert is_same_machine(other, MACHINE) is same


def test_this_machine_is_itself() -> None:
    """Facts are stable within a run and plausible."""
    facts = host_facts()
    assert is_same_machine(facts, host_facts())
    assert 1 <= facts.cores <= facts.cores_total
    assert facts.memory > 2**27
    assert facts.cpu


def test_no_manifest_is_refused(tmp_path: Path) -> None:
    """A folder that is no review is said to be none."""
    with pytest.raises(BadInput, match=r"manifest\.json cannot be read: No such file"):
        read_manifest(tmp_path)
