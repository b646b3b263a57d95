"""Review folders out of the recordings, for targets of the running lab: complete, so no load.

A measurement that finds all its trials in the folder sends each target's first call alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.golden import produce
from tests.golden.commands import ROOT, lab

RECORDINGS = ROOT / "data" / "recordings"
REVIEW = RECORDINGS / "lab-review"
EARLIER = RECORDINGS / "lab-earlier"
TARGETS = "targets.toml"
OUT = "out"

SQL = 'dsn_env = "POOLKIT_LAB_DSN"\nstatements = ["select 42"]\n'
# The functions that targets name, in the folder in which the command is started.
WORK = """\
async def of_session(session):
    async with session.get("{url}") as response:
        await response.read()


async def of_client(client):
    await client.get("{url}")


async def of_connection(connection):
    await connection.execute("select 1")


async def of_engine(connection):
    import sqlalchemy

    await connection.execute(sqlalchemy.text("select 1"))
"""


def variables() -> dict[str, str]:
    """What targets find in the environment."""
    return {**lab().variables, "GOLDEN_TOKEN": "Bearer hunter2"}


def put_recorded(folder: Path) -> None:
    """The recorded review's trials and the lab's targets."""
    (folder / TARGETS).write_text(lab().targets_toml, encoding="utf-8")
    put_trials(folder, {name: name for name in lab().targets})


def put_earlier(folder: Path) -> None:
    """The earlier review; without a manifest, which says whether it ran on this machine."""
    shutil.copytree(EARLIER, folder / "earlier", ignore=shutil.ignore_patterns("manifest.json"))


def put_targets(folder: Path, targets: Mapping[str, str], recorded_of: Mapping[str, str]) -> None:
    """Targets by name, each with the keys given, on the trials of a recorded one."""
    url = lab().url("lab-http")
    text = "".join(
        f"[targets.{name}]\n{keys.replace('{url}', url).replace('{url2}', lab().url('lab-cpu'))}\n"
        for name, keys in targets.items()
    )
    (folder / TARGETS).write_text(text, encoding="utf-8")
    (folder / "golden_work.py").write_text(WORK.replace("{url}", url), encoding="utf-8")
    put_trials(folder, recorded_of)


def put_trials(folder: Path, recorded_of: Mapping[str, str]) -> None:
    """The trials of each target: those of the recorded one, as if measured with its settings."""
    (folder / OUT).mkdir()
    fingerprints = produce.fingerprints(folder / TARGETS, variables())
    for name, recorded in recorded_of.items():
        lines = (REVIEW / f"{recorded}.trials.jsonl").read_text(encoding="utf-8").splitlines()
        trials = [json.loads(line) for line in lines]
        for trial in trials:
            trial |= {"target": name, "fingerprint": fingerprints[name]}
        text = "".join(json.dumps(trial) + "\n" for trial in trials)
        (folder / OUT / f"{name}.trials.jsonl").write_text(text, encoding="utf-8")


def change_trials(
    folder: Path, name: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> None:
    """Put what `change` makes of a target's trials in their place."""
    path = folder / OUT / f"{name}.trials.jsonl"
    trials = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(trial) + "\n" for trial in change(trials)), encoding="utf-8")


def with_crowd(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With trials of more callers than connections, which a target with a gate has."""
    path = REVIEW / "lab-http.trials.jsonl"
    crowds = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[-2:]]
    size = trials[-1]["pool_size"]
    same = {key: trials[0][key] for key in ("target", "fingerprint")}
    for crowd in crowds:
        gate = None if crowd["gate"] is None else size
        crowd |= same | {"pool_size": size, "callers": 4 * size, "gate": gate}
    return [*trials, *crowds]


def put_probe(folder: Path, name: str, driver: str, endpoint: str, recorded: str) -> None:
    """What a probe found elsewhere, as if it had looked at this target."""
    text = (RECORDINGS / "lifecycle" / f"{recorded}.probe.json").read_text(encoding="utf-8")
    rows = produce.measured_rows(driver, text, 330.0)
    probe = json.loads(text)
    if driver == "aiohttp":  # the one with a row of names, which `measured_rows` leaves out
        probe["names"] = None
    probe |= {
        "target": name,
        "driver": driver,
        "endpoint": endpoint,
        "parameters": [row.model_dump(mode="json") for row in rows],
    }
    path = folder / OUT / f"{name}.probe.json"
    path.write_text(json.dumps(probe), encoding="utf-8")


def load_sent(folder: Path, before: Mapping[Path, bytes]) -> list[str]:
    """Trials files that grew, where a measurement was not content with what it found."""
    return [path.name for path, text in before.items() if path.read_bytes() != text]


def trials_of(folder: Path) -> dict[Path, bytes]:
    """Every trials file, to be compared afterwards."""
    return {path: path.read_bytes() for path in (folder / OUT).glob("*.trials.jsonl")}
