"""The table [fleet]: what it takes, and what it refuses with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolkit.errors import BadInput
from poolkit.measure.child import Order, command
from poolkit.targets import load_targets
from poolkit.targets.fleet import Fleet, load_fleet

TARGET = '[targets.a]\ndriver = "aiohttp"\nurl = "http://127.0.0.1:1/"\ntarget_rate = 10\n'
FILES = 'tls_ca_file = "ca.pem"\ntls_cert_file = "c.pem"\ntls_key_file = "k.pem"\n'


def written(tmp_path: Path, table: str) -> Path:
    file = tmp_path / "targets.toml"
    file.write_text(f"{table}\n{TARGET}", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("", None),
        ("[fleet]", Fleet()),
        ("[fleet]\nworkers = 4", Fleet(workers=4)),
        (
            '[fleet]\nscheduler = "tcp://127.0.0.1:8786"',
            Fleet(scheduler="tcp://127.0.0.1:8786"),
        ),
        (
            f'[fleet]\nscheduler = "tls://10.0.0.5:8786"\n{FILES}',
            Fleet(
                scheduler="tls://10.0.0.5:8786",
                tls_ca_file="ca.pem",
                tls_cert_file="c.pem",
                tls_key_file="k.pem",
            ),
        ),
    ],
)
def test_what_it_takes(tmp_path: Path, table: str, found: Fleet | None) -> None:
    """Beside the targets, which do not mind."""
    file = written(tmp_path, table)
    assert load_fleet(file) == found
    assert set(load_targets(file)) == {"a"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("workers = 0", "workers: "),
        ("workers = 100000", "workers: "),
        ('workers = "4"', "workers: "),
        ("worker = 4", "unknown key worker; did you mean workers?"),
        ('scheduler = "10.0.0.5:8786"', "must be an address"),
        ('scheduler = "tcp://127.0.0.1"', "must be an address"),
        ('scheduler = "tcp://127.0.0.1:99999999"', "must be an address"),
        ('scheduler = "tcp://10.0.0.5:8786"', "must be reached by tls://"),
        ('scheduler = "tls://10.0.0.5:8786"', "needs tls_ca_file"),
        (FILES, "go with a scheduler"),
    ],
)
def test_what_it_refuses(tmp_path: Path, table: str, words: str) -> None:
    """The key and the rule; a scheduler that anybody may read from is none."""
    with pytest.raises(BadInput) as refused:
        load_fleet(written(tmp_path, f"[fleet]\n{table}"))
    assert words in refused.value.cause
    assert refused.value.remedy


def test_options_stand_in_place_of_the_file(tmp_path: Path) -> None:
    """--fleet 1 is this process again; what is asked reaches the measuring process."""
    file = written(tmp_path, "[fleet]\nworkers = 4")
    order = Order("size", "a", file, tmp_path)
    assert order.generators() == Fleet(workers=4)
    assert Order("size", "a", file, tmp_path, fleet=2).generators() == Fleet(workers=2)
    assert Order("size", "a", file, tmp_path, fleet=1).generators() is None
    with pytest.raises(BadInput, match="must be an address"):
        Order("size", "a", file, tmp_path, scheduler="nowhere").generators()
    words = command(Order("size", "a", file, tmp_path, fleet=3, scheduler="tcp://127.0.0.1:1"))
    assert words[-4:] == ["--fleet", "3", "--scheduler", "tcp://127.0.0.1:1"]
