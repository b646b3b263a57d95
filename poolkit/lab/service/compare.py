"""Measures the demo service before and after other pool parameters.

    python -m poolkit.lab.service.compare --out DIR
    python -m poolkit.lab.service.compare --out DIR --reviewed DIR
    python -m poolkit.lab.service.compare --out DIR --url http://127.0.0.1:8800 --pools DIR/pools.py

The first starts the lab, reviews what the service asks of it into DIR, which is made anew, runs the
service with pools of unmeasured size and with those that the review recommends, and writes the
report on both; it takes some minutes. The second takes the recommendations of such a review
instead. The third takes a service that runs, and after it one with the pools.py of its review on
the same upstreams. All write DIR/service.json, which the report of that folder shows.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from poolkit.errors import BadInput, ExitCode, PoolkitError
from poolkit.events import Event, Failed, Recommended, Watcher
from poolkit.lab.running import Lab
from poolkit.lab.service.run import SECONDS, ServiceProcess, run_service
from poolkit.lab.service.sizes import (
    RECOMMENDED,
    UNDERSIZED,
    UPSTREAMS,
    pools_source,
    reviewed_source,
    targets_of,
    targets_toml,
)
from poolkit.measure.store import make_anew, prepare_out, write_atomic
from poolkit.review.run import review
from poolkit.show.before_after import SERVICE, ServiceComparison, ServiceRun
from poolkit.show.words import outcome

REPORT = "report.html"
BEFORE, AFTER = "undersized", "recommended"
MARK = ".poolkit-service-compare"  # a folder that holds it was made here


class NothingComparedError(PoolkitError):
    """Load was sent, and led to no recommendation to compare with."""

    exit_code = ExitCode.STOPPED


class Lines:
    """A watcher that prints on stderr: each target's beginning, its finding, and failures."""

    @contextlib.contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """Around the measurement of target `name`."""
        self.say(f"{name}: is reviewed")
        yield

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Around a longer step that sends no load."""
        self.say(what)
        yield

    def see(self, event: Event) -> None:
        """Print what was found or failed; the steps on the way are left out."""
        if isinstance(event, Failed):
            self.fail(f"{event.target}: {event.cause}", event.remedy)
        elif isinstance(event, Recommended):
            self.say(f"{event.recommendation.target}: {outcome(event.recommendation)}")

    def cancelling(self) -> None:
        """Nothing: the command ends."""

    def say(self, text: str) -> None:
        """Print one line."""
        sys.stderr.write(f"{text}\n")

    def fail(self, cause: str, remedy: str = "") -> None:
        """Print what went wrong and what to do about it."""
        self.say(f"{cause}\n{remedy}".rstrip())


def compare_on_lab(seconds: float = SECONDS, *, reviewed: Path | None = None) -> ServiceComparison:
    """Undersized pools and the recommended ones, one after the other on a lab of their own.

    Args:
        seconds: of load for each.
        reviewed: folder or recommended.json of a review of the service's targets; where None the
            sizes are those of a formula.

    Raises:
        BadInput: `reviewed` cannot be read, or has no size for a pool.
    """
    with Lab(UPSTREAMS) as lab:
        os.environ.update(lab.environment())
        return _compare(lab, seconds, reviewed)


def compare_reviewed(
    out: Path, watcher: Watcher, *, budget: float | None = None, seconds: float = SECONDS
) -> ServiceComparison:
    """Review the service's targets on a lab, and compare on it what the service had and now gets.

    `out` is made anew; it holds the review and its report afterwards, the comparison in it.

    Args:
        budget: s of load for each target, as for `poolkit review`.
        seconds: of load on the service for each run.

    Raises:
        BadInput: the review cannot be carried out; nothing was sent.
        NothingComparedError: it ended without a size for each pool, or without a report; what was
            measured is kept.
    """
    make_anew(out, MARK, "python -m poolkit.lab.service.compare")
    made: list[ServiceComparison] = []
    failures: list[Exception] = []
    with Lab(UPSTREAMS) as lab, tempfile.TemporaryDirectory(prefix="poolkit-compare-") as folder:
        os.environ.update(lab.environment())

        def make_report(of: Path) -> Path:
            from poolkit.report.execute import execute
            from poolkit.report.export import export

            # What the service makes of the recommendations belongs into the report on them.
            try:
                made.append(_compare(lab, seconds, of))
            except Exception as failure:  # raised below: the review goes on without a report
                failures.append(failure)
                raise
            write(made[0], of)
            return export(execute(of), of / REPORT)

        targets = Path(folder) / "targets.toml"
        targets.write_text(targets_toml(lab), encoding="utf-8")
        finished = review(targets, out, watcher, budget=budget, make_report=make_report)
    if finished.exit_code == ExitCode.CANCELLED:
        raise KeyboardInterrupt
    if failures:
        raise failures[0]
    if not made:
        raise NothingComparedError(
            "nothing was compared: the review did not end with a size for each pool",
            f"{out} keeps what was measured; try again with more --budget",
        )
    if finished.report is None:
        raise NothingComparedError(
            "the comparison was made, its report was not",
            f"{out / SERVICE} keeps it; see above for what went wrong with the report",
        )
    return made[0]


def _compare(lab: Lab, seconds: float, reviewed: Path | None) -> ServiceComparison:
    targets = targets_of(lab)
    sources = {
        BEFORE: pools_source(targets, UNDERSIZED),
        AFTER: pools_source(targets, RECOMMENDED)
        if reviewed is None
        else reviewed_source(reviewed, targets),
    }
    runs = []
    with tempfile.TemporaryDirectory(prefix="poolkit-compare-") as folder:
        for label, source in sources.items():
            pools = Path(folder) / f"{label}.py"
            pools.write_text(source, encoding="utf-8")
            runs.append(_run_with(pools, label, seconds))
    return ServiceComparison(before=runs[0], after=runs[1])


def compare_running(url: str, pools: Path, seconds: float = SECONDS) -> ServiceComparison:
    """A service that runs, then one with the pools of `pools` on the same upstreams.

    Raises:
        BadInput: the service is not on this machine or exports no gauges, or there is no `pools`.
    """
    if not pools.is_file():
        raise BadInput(f"no such file: {pools}", "name the pools.py of a finished review")
    before = run_service(url.rstrip("/"), "before", seconds=seconds)
    return ServiceComparison(before=before, after=_run_with(pools, "after", seconds))


def _run_with(pools: Path, label: str, seconds: float) -> ServiceRun:
    with ServiceProcess(pools) as service:
        return run_service(service.url, label, seconds=seconds)


def write(found: ServiceComparison, out: Path) -> Path:
    """Write service.json into the folder, which is made; BadInput where that cannot be."""
    prepare_out(out)
    path = out / SERVICE
    write_atomic(path, found.model_dump_json(indent=2) + "\n")
    return path


def main(words: Sequence[str] | None = None) -> int:
    """Compare, print the table, write the file; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m poolkit.lab.service.compare",
        description="The demo service before and after other pool parameters, same load.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="made anew; with --reviewed or --url a review's folder",
    )
    parser.add_argument(
        "--reviewed", type=Path, metavar="DIR", help="an earlier review of the service's targets"
    )
    parser.add_argument("--budget", type=float, help="s of load for each target of the review")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"of load for each run, default {SECONDS:g}"
    )
    parser.add_argument("--url", help="a service that runs, instead of a lab of its own")
    parser.add_argument("--pools", type=Path, metavar="FILE", help="with --url: the pools.py after")
    arguments = parser.parse_args(words)
    try:
        if (arguments.url is None) != (arguments.pools is None):
            raise BadInput("--url and --pools belong together", "name both, or neither")
        if arguments.url is not None and arguments.reviewed is not None:
            raise BadInput("--url and --reviewed do not go together", "name one of them")
        if arguments.budget is not None and not 1.0 <= arguments.budget <= 3600.0:
            raise BadInput(f"--budget must be from 1 to 3600 s, got {arguments.budget:g}")
        if not 1.0 <= arguments.seconds <= 600.0:
            raise BadInput(f"--seconds must be from 1 to 600, got {arguments.seconds:g}")
        if arguments.url is not None:
            found = compare_running(arguments.url, arguments.pools, arguments.seconds)
        elif arguments.reviewed is not None:
            found = compare_on_lab(arguments.seconds, reviewed=arguments.reviewed)
        else:
            found = compare_reviewed(
                arguments.out, Lines(), budget=arguments.budget, seconds=arguments.seconds
            )
        path = write(found, arguments.out)
    except PoolkitError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{found.table().markdown()}\nwritten: {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
