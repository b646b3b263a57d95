"""Measures the demo service before and after other pool parameters, into a review's folder.

    python -m poolkit.service.compare --out DIR
    python -m poolkit.service.compare --out DIR --url http://127.0.0.1:8800 --pools DIR/pools.py

The first starts the lab and compares sizes that nobody measured with those of poolkit. The second
takes a service that runs, and after it one with the pools.py of its review on the same upstreams.
Both write DIR/service.json, which the report of that folder shows.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from poolkit.before_after import SERVICE, ServiceComparison, ServiceRun
from poolkit.errors import BadInput, PoolkitError
from poolkit.lab.running import Lab
from poolkit.service.comparison import SECONDS, ServiceProcess, run_service
from poolkit.service.sizes import RECOMMENDED, UNDERSIZED, UPSTREAMS, pools_source, targets_of
from poolkit.store import prepare_out, write_atomic

BEFORE, AFTER = "undersized", "recommended"


def compare_on_lab(seconds: float = SECONDS) -> ServiceComparison:
    """Undersized pools and the recommended ones, one after the other on a lab of their own."""
    with Lab(UPSTREAMS) as lab, tempfile.TemporaryDirectory(prefix="poolkit-compare-") as folder:
        os.environ.update(lab.environment())
        runs = []
        for label, sizes in ((BEFORE, UNDERSIZED), (AFTER, RECOMMENDED)):
            pools = Path(folder) / f"{label}.py"
            pools.write_text(pools_source(targets_of(lab), sizes), encoding="utf-8")
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
    with ServiceProcess("--pools", str(pools)) as service:
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
        prog="python -m poolkit.service.compare",
        description="The demo service before and after other pool parameters, same load.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a review's folder")
    parser.add_argument("--url", help="a service that runs, instead of a lab of its own")
    parser.add_argument("--pools", type=Path, metavar="FILE", help="with --url: the pools.py after")
    arguments = parser.parse_args(words)
    try:
        if (arguments.url is None) != (arguments.pools is None):
            raise BadInput("--url and --pools belong together", "name both, or neither")
        found = (
            compare_on_lab()
            if arguments.url is None
            else compare_running(arguments.url, arguments.pools)
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
