"""Runs `python -m poolkit` as a user does, and takes out of its output what has to vary.

Every command runs in a folder of its own and is given relative paths, so that no path of this
machine is printed.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WIDTH = 100
# They would make a terminal of a pipe, or point the commands elsewhere.
_VARIABLES_OF_THE_CALLER = re.compile(
    r"FORCE_COLOR|PY_COLORS|GITHUB_ACTIONS|TERMINAL_WIDTH|PATH|POOLKIT_.*|PYTEST_.*"
)
LAB_START = 30.0  # s


@dataclass(frozen=True)
class Ran:
    """What a command ended with."""

    words: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    def text(self) -> str:
        """The command as typed, what it printed, and its exit code, for a file of `expected/`."""
        shown = f"$ poolkit {' '.join(self.words)}\n{plain(self.stdout)}"
        if self.stderr:
            shown += f"--- stderr\n{plain(self.stderr)}"
        return f"{shown}--- exit code {self.exit_code}\n"


def poolkit(
    *words: str, cwd: Path, variables: Mapping[str, str] | None = None, first: Path | None = None
) -> Ran:
    """Run the command in the folder `cwd`.

    Args:
        variables: set beside those of every command.
        first: a folder whose modules stand before all others.
    """
    result = subprocess.run(
        [sys.executable, "-P", "-m", "poolkit", *words],
        cwd=cwd,
        env=_environment(variables or {}, first),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Ran(words, result.returncode, result.stdout, result.stderr)


# Runs each command of stdin in a process of its own, which has the imports already.
_MANY = """
import contextlib, io, json, os, runpy, sys, tempfile

def run(words):
    sys.argv = ["poolkit", *words]
    runpy.run_module("poolkit", run_name="__main__", alter_sys=True)

with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    with contextlib.suppress(SystemExit):
        run(["review", "--targets", "no-such-file", "--out", "no-such-folder"])
found = []
for words in json.load(sys.stdin):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = 0
            try:
                run(words)
            except SystemExit as leaving:
                code = leaving.code or 0
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        found.append([code, *texts])
json.dump(found, sys.stdout)
"""


def many(commands: Iterable[tuple[str, ...]], *, cwd: Path) -> list[Ran]:
    """Run the commands in the folder `cwd`, one after the other, sooner than each by itself."""
    asked = list(commands)
    result = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", _MANY],
        cwd=cwd,
        env=_environment({}, None),
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    found = json.loads(result.stdout)
    return [Ran(words, *texts) for words, texts in zip(asked, found, strict=True)]


def _environment(variables: Mapping[str, str], first: Path | None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not _VARIABLES_OF_THE_CALLER.fullmatch(k)}
    folders = [str(ROOT)] if first is None else [str(first), str(ROOT)]
    return {
        **kept,
        # Without a browser: no report.pdf, which is no text and takes long.
        "PATH": str(Path(sys.executable).parent),
        "PYTHONPATH": os.pathsep.join(folders),
        "COLUMNS": str(WIDTH),
        "LINES": "50",
        "TERM": "dumb",
        "NO_COLOR": "1",
        **variables,
    }


@dataclass(frozen=True)
class Lab:
    """A running `poolkit lab`: real servers that answer a resumed measurement's first call."""

    targets_toml: str
    variables: Mapping[str, str]
    printed: str
    targets: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def url(self, name: str) -> str:
        """Where an HTTP server of the lab listens."""
        return str(self.targets[name]["url"])


@cache
def lab() -> Lab:
    """The lab, started by the first who needs it and ended with this process."""
    folder = Path(tempfile.mkdtemp(prefix="poolkit-golden-"))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "poolkit", "lab", "--targets-out", "lab.toml"],
        cwd=folder,
        # It starts a PostgreSQL, which looks for programs of the system.
        env=_environment({"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}, None),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, process, folder)
    printed = ""
    assert process.stdout is not None
    for line in process.stdout:
        printed += line
        if line.startswith("running"):
            break
    else:
        raise AssertionError(f"the lab did not start: {printed}")
    text = (folder / "lab.toml").read_text(encoding="utf-8")
    exported = dict(re.findall(r"^export (\w+)=(\S+)$", printed, re.MULTILINE))
    return Lab(text, exported, printed, tomllib.loads(text)["targets"])


def _end(process: subprocess.Popen[str], folder: Path) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(LAB_START)
    if process.stdout is not None:
        process.stdout.close()
    (folder / "lab.toml").unlink()
    folder.rmdir()


def plain(text: str) -> str:
    """The text without ports, passwords, this day, ages, records, and spaces at line ends."""
    now = datetime.now(UTC)
    text = re.sub(r"(127\.0\.0\.1|localhost):\d{4,5}", r"\1:PORT", text)
    text = re.sub(r"postgresql://\w+:[\w-]+@", "postgresql://USER:PASSWORD@", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d{6}Z", "RECORD", text)
    text = re.sub(r"\(\d+ (second|minute|hour|day)s? (old|before)", r"(AGE \2", text)
    # Midnight may pass between a command and this; what was recorded earlier today keeps its time.
    for day in (now, now - timedelta(hours=1)):
        date = day.strftime("%Y-%m-%d")
        moment = rf"{date}(?:[T ](\d\d:\d\d)(?::\d\d)?(?:Z|\+00:00)?)?"
        text = re.sub(moment, partial(_without_now, now=now, date=date), text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n" if text else ""


def _without_now(found: re.Match[str], now: datetime, date: str) -> str:
    time = found[1]
    if time is not None:
        age = now - datetime.fromisoformat(f"{date}T{time}+00:00")
        if not timedelta(0) <= age < timedelta(hours=1):
            return found[0]
    return "TODAY"


def without_machine(manifest: str) -> str:
    """manifest.json with its keys, and without versions, host facts and hashes."""
    manifest = re.sub(r'("(?:versions|host)": \{)[^}]*\}', r"\1 ... }", manifest)
    return plain(re.sub(r'"[0-9a-f]{64}"', '"SHA256"', manifest))
