"""Probing from a cell: `poolkit probe` in a process of its own, or what it found before."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from poolkit.errors import BadInput, PoolkitError
from poolkit.events import Event, Failed, Step
from poolkit.measure.child import Child, python
from poolkit.probes import Probe, read
from poolkit.report.source import named, shared
from poolkit.show.narration import sentence
from poolkit.targets.reading import read_toml
from poolkit.workbook.kept import kept
from poolkit.workbook.measuring import followed

RECORDED = "data/recordings/lifecycle"
CAP = 10.0  # s


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
    with contextlib.ExitStack() as stack:
        if out is None:
            out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-probe-")))
        options = ["--targets", str(file), "--out", str(out), "--cap", f"{cap:g}", "--events"]
        children = [
            Child(python("poolkit", "probe", name, *options), target=name, env=environment)
            for name in names
        ]
        for events in await followed(children, _steps):
            for event in events:
                if isinstance(event, Failed):
                    raise PoolkitError(
                        f"{event.target} could not be probed: {event.cause}", event.remedy
                    )
        return recorded(out, names)


def _steps(seen: Sequence[Sequence[Event]]) -> str:
    """What each probe does now, and how long it may take."""
    latest = [[event for event in events if isinstance(event, Step)][-1:] for events in seen]
    words = [f"{step.target}: {sentence(step)}" for (step,) in filter(None, latest)]
    return f"<p role='status'>{escape('; '.join(words))}</p>"
