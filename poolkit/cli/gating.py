"""Gates on the command line: what was asked, where it is written, and how it is printed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from poolkit.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.errors import ExitCode
    from poolkit.review.gates import Gate, Judgement
    from poolkit.review.trend import Trend
    from poolkit.review.waivers import Verdict, Waiver


@dataclass(frozen=True, slots=True)
class Gating:
    """What the options ask for; read before anything is sent."""

    gates: tuple[Gate, ...]
    waivers: tuple[Waiver, ...]
    summary: Path | None
    junit: Path | None

    @classmethod
    def read(
        cls, fail_on: str | None, waivers: Path | None, summary: Path | None, junit: Path | None
    ) -> Gating | None:
        """None where no gate is asked for; BadInput where something cannot be meant or written."""
        from poolkit.review import gates
        from poolkit.review.waivers import read_waivers

        files = {"--summary": summary, "--junit": junit}
        if fail_on is None:
            alone = [name for name, path in {"--waivers": waivers, **files}.items() if path]
            if alone:
                raise BadInput(f"{alone[0]} without gates", "say which: --fail-on size,plateau")
            return None
        asked = gates.parse(fail_on)
        check_files(files)
        return cls(asked, () if waivers is None else read_waivers(waivers), summary, junit)

    def of_trends(self, trends: Sequence[Trend], *, must_persist: bool) -> list[Judgement]:
        """What the gates say of each target."""
        from poolkit.review.gates import judge

        judged = (judge(self.gates, trend, must_persist=must_persist) for trend in trends)
        return [judgement for one in judged for judgement in one]

    def verdict(self, judgements: Sequence[Judgement]) -> Verdict:
        """The judgements, with what the waivers come to today."""
        from poolkit.review.waivers import apply

        return apply(judgements, self.waivers, datetime.now(UTC).date())

    def write(self, verdict: Verdict, trends: Sequence[Trend], code: ExitCode) -> None:
        """Write the files that were asked for."""
        from poolkit.report.gates import to_junit, to_markdown

        write_file(self.summary, to_markdown(verdict, trends, code))
        write_file(self.junit, to_junit(verdict))


def check_files(files: Mapping[str, Path | None]) -> None:
    """BadInput where one of the files cannot be written, or two are one.

    Args:
        files: by the option that names it.
    """
    names: dict[Path, str] = {}
    for name, path in files.items():
        if path is None:
            continue
        if (other := names.setdefault(path.absolute(), name)) != name:
            raise BadInput(f"{other} and {name} are the same file", "name two")
        if not _may_be_written(path):
            raise BadInput(f"{name} {path} cannot be written", "name a file that can be made")


def write_file(path: Path | None, text: str) -> None:
    """Write a file that was asked for, in a folder that is made where it is not there."""
    from poolkit.measure.store import write_atomic

    if path is not None:
        with contextlib.suppress(OSError):  # which writing tells
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)


def _may_be_written(path: Path) -> bool:
    """Whether a file may be put there, in a folder that may have to be made first.

    Not in the place of a device or a link: writing replaces what is there, /dev/stdout too.
    """
    above = next(filter(os.path.exists, path.absolute().parents), Path())
    may_be = above.is_dir() and os.access(above, os.W_OK)
    try:
        return may_be and stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return may_be
    except OSError:  # a name that is too long, or below a file
        return False


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print what the gates say, and the waivers."""
    from poolkit.cli.printed import print_table
    from poolkit.cli.progress import say
    from poolkit.show import tables
    from poolkit.show.tables.of_gates import notes

    console.print()
    print_table(console, tables.gates(verdict))
    for note in notes(verdict):
        say(console, note, indent="  ")
    if table := tables.waivers(verdict):
        console.print()
        print_table(console, table)
