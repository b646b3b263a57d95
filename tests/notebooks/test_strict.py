"""The committed notebooks, run on recordings, give exactly their stored outputs (strict nbval)."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
SIDE_BY_SIDE = 2  # processes, each with some of the notebooks, one after the other


@dataclass
class Ran:
    """One notebook: how long it took (s), and what was not as stored."""

    seconds: float = 0.0
    cells: int = 0
    faults: str = ""


def strict(names: Sequence[str], report: Path) -> dict[str, Ran]:
    """Run these notebooks in one pytest, and read its report."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"),
            f"--nbval-sanitize-with={NOTEBOOKS / 'sanitize.cfg'}",
            f"--junitxml={report}",
            *(str(NOTEBOOKS / f"{name}.ipynb") for name in names),
        ],
        env=os.environ | {"POOLKIT_SOURCE": "recorded"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout[-4000:] + done.stderr[-2000:]
    found = {name: Ran() for name in names}
    for case in ElementTree.parse(report).iter("testcase"):
        [name] = [name for name in names if name in case.attrib["classname"]]
        ran = found[name]
        ran.seconds += float(case.attrib["time"])
        ran.cells += 1
        for fault in (*case.findall("failure"), *case.findall("error")):
            ran.faults += f"{case.attrib['name']}: {(fault.text or '')[-2000:]}\n"
    return found


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """Every notebook that was selected."""
    own = [item.name for item in request.session.items if item.path == request.path]
    chosen = [name for name in NAMES if any(f"[{name}]" in item for item in own)]
    parts = [part for i in range(SIDE_BY_SIDE) if (part := chosen[i::SIDE_BY_SIDE])]
    folder = tmp_path_factory.mktemp("strict")
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        running = [pool.submit(strict, part, folder / f"{part[0]}.xml") for part in parts]
        return {name: each for part in running for name, each in part.result().items()}


@pytest.mark.parametrize("name", NAMES)
def test_stored_outputs_are_those_of_the_recordings(ran: dict[str, Ran], name: str) -> None:
    """A number that moved, in code or in a recording, is something that somebody must look at."""
    assert ran[name].faults == ""
    assert ran[name].cells > 3
