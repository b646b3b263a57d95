"""Gates on the command line: what was asked, where it is written, and how it is printed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
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
        if summary is not None and summary == junit:
            raise BadInput("--summary and --junit are the same file", "name two")
        for name, path in files.items():
            if path is not None and not _may_be_written(path):
                raise BadInput(f"{name} {path} cannot be written", "name a file that can be made")
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
        from poolkit.measure.store import write_atomic
        from poolkit.report.gates import to_junit, to_markdown

        texts = {self.summary: to_markdown(verdict, trends, code), self.junit: to_junit(verdict)}
        for path, text in texts.items():
            if path is not None:
                with contextlib.suppress(OSError):  # which writing tells
                    path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, text)


def _may_be_written(path: Path) -> bool:
    """Whether a file may be put there, in a folder that may have to be made first."""
    above = next((folder for folder in path.absolute().parents if folder.exists()), None)
    is_folder = above is not None and above.is_dir() and os.access(above, os.W_OK)
    return is_folder and not path.is_dir()


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
