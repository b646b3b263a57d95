"""Probing from a cell: `poolkit probe` in a process of its own, or what it found before."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from poolkit.errors import BadInput, PoolkitError
from poolkit.events import Done, Event, Failed, Step
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream, can_speak_tls
from poolkit.measure.child import Child, python
from poolkit.panels.sources import FileSource
from poolkit.probes import Probe, read
from poolkit.probes.names import NAME as RENAMED
from poolkit.report.source import named, shared
from poolkit.show.narration import sentence
from poolkit.workbook.measuring import followed

RECORDED = "data/recordings/lifecycle"
CAP = 10.0  # s
WEB, DATABASE = "kept-web", "kept-db"
TIMEOUT = 2.0  # s for which the lab's two servers keep an idle connection
DSN_VARIABLE = "POOLKIT_KEPT_DSN"


async def probed(
    targets: Sequence[str] = (), *, cap: float = CAP, environment: Mapping[str, str] | None = None
) -> tuple[Probe, ...]:
    """A probe of each target that POOLKIT_SOURCE offers, measured now where it is live.

    Args:
        targets: names; empty: every target of the source.
        cap: s that an idle connection is watched at most, 1 to 3600.

    Raises:
        BadInput: the source has no such target, or was not probed.
        PoolkitError: a probe failed; it says why and what to do.
    """
    environment = os.environ if environment is None else environment
    folder = finished(environment)
    if folder is not None:
        return recorded(folder, targets)
    source = named(environment)
    if isinstance(source, Path):
        return await probe_now(source, targets, cap, environment)
    with closing_servers() as (file, environment):
        return await probe_now(file, targets, cap, environment)


def finished(environment: Mapping[str, str]) -> Path | None:
    """The folder of results that POOLKIT_SOURCE names; None: it is live."""
    source = named(environment)
    if source == "recorded":
        return shared(RECORDED)
    return source if source != "lab" and source.is_dir() else None


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
    names = tuple(targets) or FileSource(file).names
    with tempfile.TemporaryDirectory(prefix="poolkit-probe-") as temporary:
        out = Path(temporary) if out is None else out
        options = ["--targets", str(file), "--out", str(out), "--cap", f"{cap:g}", "--events"]
        children = [
            Child(python("poolkit", "probe", name, *options), target=name, env=environment)
            for name in names
        ]
        for events in await followed(children, _steps):
            for event in events:
                if isinstance(event, Failed):
                    cause = f"{event.target} could not be probed: {event.cause}"
                    raise PoolkitError(cause, event.remedy)
        return recorded(out, names)


def _steps(so_far: Sequence[Sequence[Event]]) -> str:
    """What each probe does now, and how long it may take; which of them has ended."""
    latest = [[e for e in events if isinstance(e, Step | Done)][-1:] for events in so_far]
    return "; ".join(
        f"{at.target}: {sentence(at) if isinstance(at, Step) else 'ended'}"
        for (at,) in filter(None, latest)
    )


@contextlib.contextmanager
def closing_servers() -> Iterator[tuple[Path, dict[str, str]]]:
    """Two servers of the lab that end what idles: an HTTP service, and PostgreSQL.

    Gives the targets.toml and what a process needs that reads it. The HTTP service speaks TLS
    unless this machine cannot make a certificate.
    """
    environment = dict(os.environ)
    service = Workers(workers=24, service_time=0.005, cv=0.3)
    names = ("localhost", RENAMED) if can_speak_tls() else None
    with (
        HttpUpstream(service, keepalive=TIMEOUT, tls_names=names) as web,
        PostgresServer(accounts=10) as database,
        tempfile.TemporaryDirectory(prefix="poolkit-kept-") as folder,
    ):
        # By name, so that there is a record which could change.
        url = web.url.replace("127.0.0.1", "localhost")
        if names is not None:
            environment["SSL_CERT_FILE"] = str(web.certificate)
        environment[DSN_VARIABLE] = f"{database.dsn}?idle_session_timeout={round(1000 * TIMEOUT)}"
        file = Path(folder) / "targets.toml"
        file.write_text(_TARGETS.replace("URL", url), encoding="utf-8")
        yield file, environment


_TARGETS = f"""\
[targets.{WEB}]
driver = "aiohttp"
url = "URL"
target_rate = 800
wait_p99 = 0.010
max_size = 32

[targets.{DATABASE}]
driver = "sqlalchemy"
dsn_env = "{DSN_VARIABLE}"
statements = ["select pg_sleep(0.004)"]
target_rate = 800
wait_p99 = 0.010
max_size = 32
"""
