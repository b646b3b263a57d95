"""Probing from a cell: `poolkit probe` in a process of its own, or what it found before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from poolkit.errors import BadInput, ExitCode, PoolkitError
from poolkit.probes import Probe, read
from poolkit.report.source import named, shared
from poolkit.targets.reading import read_toml
from poolkit.workbook.kept import kept
from poolkit.workbook.measuring import line

RECORDED = "data/recordings/lifecycle"
CAP = 10.0  # s
# With these a probe has left a result that is worth reading.
_READABLE = {ExitCode.DONE, ExitCode.FINDINGS, ExitCode.STOPPED}


async def probed(
    targets: Sequence[str] = (),
    *,
    cap: float = CAP,
    environment: Mapping[str, str] | None = None,
) -> tuple[Probe, ...]:
    """A probe of each target that POOLKIT_SOURCE offers, measured now where it is live.

    Args:
        targets: names; empty: every target of the source.
        cap: s that an idle connection is watched at most, 1 to 3600.

    Raises:
        BadInput: the source has no such target, or was not probed.
        PoolkitError: a probe failed; it says why and what to do.
    """
    said = os.environ if environment is None else environment
    folder = finished(said)
    if folder is not None:
        return recorded(folder, targets)
    source = named(said)
    if isinstance(source, Path):
        return await probe_now(source, targets, cap, said)
    with kept() as servers:
        return await probe_now(servers.targets, targets, cap, servers.environment)


def finished(environment: Mapping[str, str]) -> Path | None:
    """The folder of results that POOLKIT_SOURCE names; None: it is live."""
    said = named(environment)
    if said == "recorded":
        return shared(RECORDED)
    return said if said != "lab" and said.is_dir() else None


def recorded(folder: Path, targets: Sequence[str] = ()) -> tuple[Probe, ...]:
    """The probes that a folder keeps; BadInput where one of `targets`, or any, is missing."""
    found = read(folder)
    missing = [name for name in targets if name not in found]
    if missing or not found:
        raise BadInput(
            f"{folder.name} keeps no probe of {', '.join(missing) or 'any target'}",
            f"make it with: poolkit probe {missing[0] if missing else 'NAME'} --targets FILE "
            "--out FOLDER",
        )
    return tuple(found[name] for name in targets or found)


async def probe_now(
    file: Path,
    targets: Sequence[str],
    cap: float,
    environment: Mapping[str, str],
    out: Path | None = None,
) -> tuple[Probe, ...]:
    """Run `poolkit probe` on targets of a targets.toml, side by side, and read what it wrote."""
    tables = read_toml(file).get("targets", {})
    names = tuple(targets) or (tuple(tables) if isinstance(tables, dict) else ())
    tell, said = line(), dict[str, str]()
    with contextlib.ExitStack() as stack:
        if out is None:
            out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-probe-")))
        running = [_start(name, file, out, cap, environment) for name in names]
        reading = [
            asyncio.ensure_future(asyncio.to_thread(_follow, name, process, said))
            for name, process in zip(names, running, strict=True)
        ]
        try:
            while (await asyncio.wait(reading, timeout=0.5))[1]:
                tell(f"<p role='status'>{'; '.join(said.values())}</p>")
            ends = [reader.result() for reader in reading]
        finally:
            for process in running:
                if process.poll() is None:
                    process.terminate()
                process.wait()
        tell("")
        for name, (code, words) in zip(names, ends, strict=True):
            if code not in _READABLE:
                raise PoolkitError(f"{name} could not be probed (exit code {code})", words)
        return recorded(out, names)


def _start(
    name: str, file: Path, out: Path, cap: float, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    words = ["probe", name, "--targets", str(file), "--out", str(out), "--cap", f"{cap:g}"]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "poolkit", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(environment),
    )


def _follow(name: str, process: subprocess.Popen[str], said: dict[str, str]) -> tuple[int, str]:
    """Its exit code and last lines; what it does meanwhile goes into `said`."""
    assert process.stdout is not None
    kept_lines: list[str] = []
    with process.stdout as output:
        for words in output:
            kept_lines = [*kept_lines[-19:], words.rstrip()]
            if words.startswith(f"{name}: ") and "(at most" in words:
                said[name] = words.strip()
    return process.wait(), "\n".join(kept_lines)
