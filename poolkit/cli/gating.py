"""Gates on the command line: what was asked, where it is written, and how it is printed."""

from __future__ import annotations

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
        for name, path in files.items():
            if path is not None and (path.is_dir() or not path.parent.is_dir()):
                raise BadInput(
                    f"{name} {path} cannot be written", "name a file in a folder that is there"
                )
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

        if self.summary is not None:
            write_atomic(self.summary, to_markdown(verdict, trends, code))
        if self.junit is not None:
            write_atomic(self.junit, to_junit(verdict))


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print what the gates say, and the waivers."""
    from poolkit.cli.printed import print_table
    from poolkit.show import tables

    for table in (tables.gates(verdict), tables.waivers(verdict)):
        if table:
            console.print()
            print_table(console, table)
