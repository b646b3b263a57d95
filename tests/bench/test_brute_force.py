"""Brute force: a size that the server turns calls away at is too large, not too small."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.brute_force import Results, least_refused, tried_sizes
from tests.bench.needed import needed
from tests.bench.quiet import Cores


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "rows.jsonl", "full", "code")


def test_a_child_is_no_other() -> None:
    """Its CPU time is this process's own, after its end too."""
    before = Cores.now()
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    after = Cores.now()
    assert after.own - before.own >= 0.45
    # The system counts in ticks of 10 ms.
    assert after.used - before.used >= after.own - before.own - 0.1
    assert 0.0 <= before.others_since() <= 1.1


def repeats(results: Results, size: int, late: float, *refused: float) -> None:
    for share in refused:
        results.add("api", "repeat", size=size, late=late, refused=share)


def test_sizes_beyond_a_limit_are_left_out(results: Results) -> None:
    """Where 12 are refused and 11 pass, 11 is what is needed."""
    repeats(results, 10, 0.04, 0.0, 0.0, 0.0)
    repeats(results, 11, 0.002, 0.0, 0.0, 0.0)
    assert least_refused("api", results) == math.inf
    repeats(results, 12, 0.3, 0.02, 0.03)
    repeats(results, 20, 0.0, 0.3)
    assert least_refused("api", results) == 12
    assert str(needed(tried_sizes("api", results))) == "11"


def test_one_refused_repeat_of_several_is_no_limit(results: Results) -> None:
    """A limit shows in most of them."""
    repeats(results, 11, 0.0, 0.0, 0.02, 0.0)
    assert least_refused("api", results) == math.inf
    assert tried_sizes("api", results)[11].passed == 3
