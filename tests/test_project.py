"""What stands around the code agrees with itself: dependencies, commands, versions, the licence."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import poolkit
from poolkit import doctor

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = {k: v for k, v in PROJECT["optional-dependencies"].items() if k != "all"}
PASSAGE = 12  # lines of code that may not stand in two places


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def environment_lists():
    """The conda and pip lists of environment.yml, whose shape is simple enough to read by line."""
    conda, _, pip = read("environment.yml").partition("  - pip:\n")
    conda_list = re.findall(r"^  - (.+)$", conda.partition("dependencies:\n")[2], re.MULTILINE)
    return conda_list, re.findall(r"^      - (.+)$", pip, re.MULTILINE)


def test_environment_lists_what_pyproject_lists():
    """Conda users get poolkit from the folder, every dependency once, with the same bounds."""
    conda, pip = environment_lists()
    wanted = {*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)}
    assert pip[0] == "--editable ."
    assert sorted(pip[1:]) == sorted(wanted)
    assert f"python{PROJECT['requires-python']}" in conda
    assert "pip" in conda


def test_the_extra_all_holds_every_other_one():
    """`pip install poolkit[all]` and `make test` leave nothing out."""
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert everything == f"poolkit[{','.join(EXTRAS)}]"


def test_the_doctor_knows_every_extra():
    """A new extra gets its line in `poolkit doctor`."""
    assert set(doctor.EXTRAS) == set(EXTRAS)
    assert f">={'.'.join(map(str, doctor.OLDEST_PYTHON))}" == PROJECT["requires-python"]


def test_one_version():
    """The package, its metadata and the changelog name the same version or what comes after it."""
    assert poolkit.__version__ == PROJECT["version"]
    headings = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0] == PROJECT["version"]


def test_the_licence_is_the_one_that_is_declared():
    """Its text is there, and metadata ships it."""
    assert PROJECT["license"] == "MIT"
    assert read("LICENSE").startswith("MIT License\n")
    assert PROJECT["license-files"] == ["LICENSE"]


def make(*arguments):
    # A make that runs the tests hands its own flags down; this one is asked for itself.
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT, env=clean, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


COMMANDS = [
    "demo", "test", "check", "notebooks", "notebooks-live", "bench", "bench-sizing", "house",
    "lab", "service", "workbook", "app", "recordings", "clean",
]  # fmt: skip


def test_bare_make_lists_every_target():
    """Name and purpose of each; nothing is built by asking."""
    listed = re.findall(r"^  ([a-z-]+) +\S.*$", make(), re.MULTILINE)
    assert listed == ["help", *COMMANDS]
    (phony,) = re.findall(r"^\.PHONY: (.+)$", read("Makefile"), re.MULTILINE)
    assert phony.split() == listed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_target_can_be_planned(command):
    """make finds a rule for all that a target needs (nothing runs)."""
    assert make("--dry-run", command).strip()


def test_make_refuses_a_python_that_is_too_old(tmp_path):
    """With the remedy, and before anything is made."""
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    old.chmod(0o755)
    venv = tmp_path / "venv"
    run = ["make", f"PYTHON={old}", f"VENV={venv}", f"{venv}/.with-demo"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "poolkit needs Python 3.11 or later" in done.stderr
    assert not venv.exists()


def test_ci_runs_what_people_run():
    """.ci/run is a program whose shell syntax holds, and it ends in the same commands."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    commands = re.findall(r"^make ([a-z-]+)", script.read_text("utf-8"), re.MULTILINE)
    assert commands == ["check", "test", "notebooks-live"]


def passages(source, length=PASSAGE):
    """Every run of `length` lines of code, blank lines, comments and indentation aside."""
    stripped = ((number, line.strip()) for number, line in enumerate(source.splitlines(), 1))
    lines = [(number, line) for number, line in stripped if line and not line.startswith("#")]
    for start in range(len(lines) - length + 1):
        run = lines[start : start + length]
        yield run[0][0], "\n".join(line for _, line in run)


def duplicates(sources, length=PASSAGE):
    """Pairs of places (file:line) that hold the same passage."""
    seen = {}
    for name, source in sources.items():
        for line, passage in passages(source, length):
            first = seen.setdefault(passage, f"{name}:{line}")
            if first != f"{name}:{line}":
                yield first, f"{name}:{line}"


def test_no_passage_stands_in_two_places():
    """What is needed twice gets a name and one home."""
    files = sorted((ROOT / "poolkit").rglob("*.py"))
    sources = {str(f.relative_to(ROOT)): f.read_text(encoding="utf-8") for f in files}
    assert list(duplicates(sources)) == []


def test_duplicates_are_found():
    """Whatever the indentation and the comments between; a shorter passage is none."""
    lines = [f"line{i} = {i}" for i in range(4)]
    once = "\n".join(lines)
    again = "# a comment\n" + "\n\n".join(f"    {line}" for line in lines)
    assert list(duplicates({"a": once, "b": again}, 4)) == [("a:1", "b:2")]
    assert list(duplicates({"a": once, "b": again}, 5)) == []
    assert list(duplicates({"a": once}, 4)) == []


def test_committed_results_name_nobodys_folders():
    """Recordings and stored notebook outputs hold no path of the machine they were made on."""
    for folder in ("data", "notebooks"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".json", ".jsonl", ".ipynb", ".toml", ".csv", ".md"):
                found = re.search(r"(/home/|/Users/|/root/|[A-Z]:\\\\Users)\S*", read(path))
                assert found is None, f"{path}: {found.group()}"
