"""`--rate`, `--wait`, `--no-push`: the command line's question in place of the file's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from poolkit.cli.options import checked
from poolkit.errors import BadInput
from poolkit.measure.child import Order, command
from poolkit.measure.preflight import check_caps
from poolkit.targets import load_targets

TARGETS = """
[targets.api]
driver = "aiohttp"
url = "http://127.0.0.1:1/"
target_rate = 250
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "targets.toml"
    path.write_text(TARGETS, encoding="utf-8")
    return path


def order(file: Path, rate: float | None = None, wait: float | None = None) -> Order:
    return Order("sweep", "api", file, file.parent, rate=rate, wait=wait)


def test_only_what_is_given_is_changed(file: Path) -> None:
    """The load stays the same, so finished trials count for another question, too."""
    target = load_targets(file)["api"]
    assert order(file).asked_of(target) is target
    other = order(file, 300.0, 0.005).asked_of(target)
    assert (other.target_rate, other.wait_p99) == (300.0, 0.005)
    assert order(file, wait=0.005).asked_of(target).target_rate == 250
    assert other.fingerprint == target.fingerprint


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("option", ["--rate", "--wait"])
def test_what_cannot_be_meant_is_refused(file: Path, option: str, value: float) -> None:
    """With the option and the value."""
    rate, wait = (value, None) if option == "--rate" else (None, value)
    with pytest.raises(BadInput, match=f"{option} must be more than 0"):
        checked(order(file, rate, wait))


@pytest.mark.parametrize("mode", ["sweep", "size"])
def test_both_commands_check_it_before_anything_is_sent(file: Path, mode: str) -> None:
    """Exit code 2, as for every request that cannot be carried out."""
    words = [sys.executable, "-m", "poolkit", mode, "api", "--targets", str(file)]
    run = [*words, "--out", str(file.parent / "out"), "--rate", "0"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--rate must be more than 0, got 0" in done.stderr


def test_without_pushing_the_target_is_told_so(file: Path) -> None:
    """In what is measured and in what the manifest says; the child is asked the same."""
    gentle = Order("size", "api", file, file.parent, push=False)
    target, asked = checked(gentle)
    assert target.push is False
    assert target.public_settings()["push"] is False
    assert command(asked)[-1] == "--no-push"
    pushed, asked = checked(Order("size", "api", file, file.parent))
    assert pushed.push is True
    assert "--no-push" not in command(asked)
    assert pushed.fingerprint == target.fingerprint


def test_the_file_may_forbid_to_push(file: Path) -> None:
    """No option lifts that: who runs the command need not be who knows the system."""
    file.write_text(TARGETS + "push = false\n", encoding="utf-8")
    target, _ = checked(Order("size", "api", file, file.parent))
    assert target.push is False
    with pytest.raises(BadInput, match="a sweep pushes"):
        checked(order(file))


def test_a_sweep_cannot_be_without_pushing(file: Path) -> None:
    """Refused before anything is sent, with the command that can."""
    words = [sys.executable, "-m", "poolkit", "sweep", "api", "--targets", str(file)]
    run = [*words, "--out", str(file.parent / "out"), "--no-push"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a sweep pushes" in done.stderr
    assert "poolkit size api --no-push" in done.stderr
    assert not (file.parent / "out").exists()


@pytest.mark.parametrize(
    ("keys", "push", "refused"),
    [
        ("max_rate = 250", False, ""),
        ("max_rate = 249", False, "up to 250 calls/s (target_rate)"),
        ("max_rate = 250\ngrowth = 1.2", False, "up to 300 calls/s (target_rate with its growth)"),
        ("max_rate = 300\ngrowth = 1.2", False, ""),
        ("max_rate = 299", True, "up to 300 calls/s (1.2 times target_rate)"),
        ("max_rate = 300", True, ""),
    ],
)
def test_a_cap_may_be_the_target_rate_where_nothing_is_pushed(
    file: Path, keys: str, push: bool, refused: str
) -> None:
    """And 1.2 times that where it is."""
    file.write_text(f"{TARGETS}{keys}\n", encoding="utf-8")
    target, _ = checked(Order("size", "api", file, file.parent, push=push))
    if not refused:
        check_caps(target)
        return
    with pytest.raises(BadInput) as caught:
        check_caps(target)
    assert refused in caught.value.cause


def test_the_child_is_asked_the_same(file: Path) -> None:
    """What a panel asks reaches the measuring process, exactly."""
    words = command(order(file, 123.456, 0.0075))
    assert words[-4:] == ["--rate", "123.456", "--wait", "0.0075"]
