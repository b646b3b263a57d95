"""The doctor judges what it is told, and looks at this machine without changing it."""

import os
import subprocess
import sys

import pytest

from poolkit import doctor

REQUIREMENTS = [
    "numpy>=1.26",
    "aiohttp>=3.13; extra == 'drivers'",
    "uvloop>=0.21; (sys_platform != 'win32') and extra == 'drivers'",
    f"elsewhere>=1; (sys_platform != '{sys.platform}') and extra == 'drivers'",
    "pandas>=2.2; extra == 'workbook'",
    "ipykernel!=7.0.0,>=6.29; extra == 'workbook'",
    "httptools>=0.6; extra == 'lab'",
    "pytest>=8.3; extra == 'test'",
    "poolkit[drivers,lab,test,workbook]; extra == 'all'",
]


def extras(installed):
    return {c.name: c for c in doctor.extra_checks(REQUIREMENTS, installed.get)}


def test_an_extra_lists_its_libraries_with_their_versions():
    """Libraries of the extra and of this system only, each with what is installed."""
    check = extras({"aiohttp": "3.14.5", "uvloop": "0.23.0"})["extra_drivers"]
    assert check.passed
    assert check.seen == "aiohttp 3.14.5, uvloop 0.23.0"


def test_a_missing_library_fails_its_extra_and_names_the_line_to_type():
    """What is there is still listed, and the remedy installs the whole extra."""
    check = extras({"pandas": "3.1.1"})["extra_workbook"]
    assert not check.passed
    assert check.seen == "pandas 3.1.1; not installed: ipykernel"
    assert check.next == "pip install 'poolkit[workbook]'"


def test_the_test_extra_may_be_missing():
    """Who only uses poolkit is told of it without a failed check."""
    check = extras({})["extra_test"]
    assert check.passed
    assert check.seen == "not installed: pytest"


def test_without_metadata_no_extra_passes_by_having_nothing_to_miss():
    """poolkit run from a folder, not installed."""
    checks = {c.name: c for c in doctor.extra_checks([], {}.get)}
    assert not checks["extra_drivers"].passed
    assert "poolkit itself" in checks["extra_drivers"].seen


@pytest.mark.parametrize(
    ("check", "passed", "seen"),
    [
        (doctor.python_check((3, 10, 9), "CPython"), False, "CPython 3.10.9"),
        (doctor.python_check((3, 11, 0), "CPython"), True, "CPython 3.11.0"),
        (doctor.python_check((3, 14, 1), "CPython"), True, "CPython 3.14.1"),
        (doctor.uvloop_check("0.23.0", "linux"), True, "uvloop 0.23.0"),
        (doctor.uvloop_check(None, "linux"), False, "asyncio's own loop"),
        (doctor.uvloop_check(None, "win32"), True, "asyncio's own loop"),
        (doctor.descriptors_check(256, 4096), False, "256 at once (may be raised to 4096)"),
        (doctor.descriptors_check(1023, 1023), False, "1023"),
        (doctor.descriptors_check(1024, float("inf")), True, "room for 960 connections"),
        (doctor.descriptors_check(float("inf"), float("inf")), True, "no limit at once"),
        (doctor.descriptors_check(10, 10), False, "room for 0 connections"),
        (doctor.clock_check(1e-7, [0.0001]), True, "steps of 100 ns"),
        (doctor.clock_check(1e-7, [0.0001, 0.0001, 0.05]), True, "at worst 50000 us"),
        (doctor.clock_check(1e-7, [0.015]), False, "15000 us late"),
        (doctor.clock_check(0.015, [0.0001]), False, "steps of 15000000 ns"),
        (doctor.cores_check(1.5), False, "1.5 for this process"),
        (doctor.cores_check(2), True, "2 for this process"),
        (doctor.load_check(1.0, 2), True, "load average 1.00 on 2 cores"),
        (doctor.load_check(1.1, 2), False, "load average 1.10 on 2 cores"),
        (doctor.quiet_check(0.25, 0.02, 1.0), True, "others took 25% of the cores' time in 1.0 s"),
        (doctor.quiet_check(0.26, 0.0, 1.0), False, "others took 26%"),
        (doctor.quiet_check(0.05, 0.03, 1.0), False, "3% stolen"),
        (doctor.temporary_check("/tmp", None), True, "/tmp is writable"),
        (doctor.temporary_check("/tmp", "No space left"), False, "/tmp: No space left"),
        (doctor.browser_check(None), True, "no Chromium"),
        (doctor.browser_check("/usr/bin/chromium"), True, "/usr/bin/chromium"),
    ],
    ids=lambda value: value.name if isinstance(value, doctor.Check) else "",
)
def test_limits(check, passed, seen):
    """Each check at, below and above its limit; what was seen is in its words."""
    assert check.passed is passed
    assert seen in check.seen


def test_it_looks_at_this_machine(capsys):
    """Every check has all its words, each name stands once, and nothing is printed."""
    checks = doctor.examine()
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"python", "extra_drivers", "clock", "cores", "temporary_folder", "browser"} <= set(
        names
    )
    for check in checks:
        assert check.seen
        assert check.why
        assert check.next
    assert capsys.readouterr() == ("", "")
    python = next(check for check in checks if check.name == "python")
    assert ".".join(map(str, sys.version_info[:3])) in python.seen


def test_what_to_do_depends_on_who_takes_the_cores():
    """A program here can be closed; another guest of the host cannot."""
    assert "close" in doctor.quiet_check(0.9, 0.0, 1.0).next
    assert "close" not in doctor.quiet_check(0.9, 0.2, 1.0).next
    assert "host" in doctor.quiet_check(0.9, 0.2, 1.0).next


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="only Linux tells")
def test_it_sees_a_child_that_burns_a_core():
    """The row of this machine while a child of this test keeps busy."""
    children = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in os.sched_getaffinity(0)
    ]
    try:
        (check,) = doctor._quiet_checks(2)
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert not check.passed, check.seen
    assert check.name == "machine_quiet"


def test_a_folder_that_takes_no_file_is_told(tmp_path):
    """The reason is the system's own word."""
    missing = tmp_path / "missing"
    error = doctor._write_error(os.fspath(missing))
    assert error == "No such file or directory"
    assert doctor._write_error(os.fspath(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []
