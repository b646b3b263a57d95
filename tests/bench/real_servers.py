"""The size that `poolkit size` recommends for real servers of known limits against brute force.

    python -m tests.bench.real_servers [--only NAME ...]

Each server's target is below its limit, so each has an answer. The real command runs twice, with
`push = true` and `push = false`; then both answers are judged by brute force in the same run (see
`brute_force`). The server itself counts the calls that it received. Exit code 1 where a row has no
answer or no exit code 0, or recommended / needed is beyond [1.00, 1.05] and one connection, or a
review that was not to push sent more than the target rate in any 5 s, or reviews took longer in the
median than 20 s of load without pushing and 30 s with it.

Takes 4 minutes a server at most, 20 in all.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from poolkit.targets import load_targets
from tests.bench.brute_force import Form, Results, brute_force, least_refused, say, tried_sizes
from tests.bench.needed import (
    NEAR_ENOUGH,
    Needed,
    Repeats,
    is_below,
    is_too_large,
    is_within,
    needed,
)
from tests.bench.provenance import caption, hash_of_code
from tests.bench.trials import run_command
from tests.real_servers import (
    SERVICE_TIME,
    Server,
    gunicorn,
    most_allowed,
    most_in_window,
    nginx_limit_conn,
    nginx_limit_req,
    pgbouncer,
    uvicorn,
)

FORM = Form("real", repeats=5, repeats_on=True, seconds=6.0, warm_up=0.6, budget=120.0)
WINDOW = 5.0  # s in which calls at the server are counted
MOST_LOAD = {True: 30.0, False: 20.0}  # s of a review in the median, by `push`
DSN = "POOLKIT_BENCH_DSN"


@dataclass(frozen=True, slots=True)
class Case:
    """A server and what is asked of it.

    Args:
        start: starts it.
        rate: calls/s asked, which it can carry.
        near: the size that brute force begins at where the command had no answer.
        statement: what a database is asked; none: it is an HTTP server.
    """

    start: Callable[[], AbstractContextManager[Server]]
    rate: float
    near: int
    statement: str | None = None

    def toml(self, name: str, server: Server, *, push: bool) -> str:
        """Its table in targets.toml."""
        place = f'driver = "aiohttp"\nurl = "{server.address}"'
        if self.statement is not None:
            place = f'driver = "psycopg"\ndsn_env = "{DSN}"\nstatements = ["{self.statement}"]\n'
            place += "read_only = false"  # it notes its calls in a table
        return (
            f"[targets.{name}]\n{place}\ntarget_rate = {self.rate}\nwait_p99 = 0.01\n"
            f"max_size = 64\npush = {str(push).lower()}\n"
        )


# The servers take 18 ms a call: 7 threads carry 360 calls/s, 5 statements 260/s at most. Needed is
# a connection or two below the limits, so that a busy machine does not turn an answer into none.
CASES = {
    "uvicorn-limit-12": Case(lambda: uvicorn(limit_concurrency=12), 350.0, near=10),
    "nginx-limit-conn-12": Case(lambda: nginx_limit_conn(12), 350.0, near=10),
    "nginx-closes-above-12": Case(lambda: nginx_limit_conn(12, status=444), 350.0, near=10),
    "nginx-limit-req-200": Case(lambda: nginx_limit_req(200, burst=20), 120.0, near=5),
    "gunicorn-7-threads": Case(lambda: gunicorn(threads=7), 270.0, near=12),
    "pgbouncer-5-servers": Case(
        lambda: pgbouncer(servers=5), 190.0, near=12, statement=f"select work({SERVICE_TIME})"
    ),
}


def examine(name: str, results: Results) -> None:
    """One server: both answers of the command, then brute force around them."""
    case = CASES[name]
    with case.start() as server, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "targets.toml"
        os.environ[DSN] = server.address
        for push in (True, False):
            path.write_text(case.toml(name, server, push=push), encoding="utf-8")
            review(name, path, server, push, results)
        answers = {row["size"] for row in results.of(name, "review")} - {None}
        target = load_targets(path)[name]
        for size in sorted(answers) or [case.near]:
            if not is_too_large(size, tried_sizes(name, results)):
                brute_force(target, size, FORM, results)


def review(name: str, path: Path, server: Server, push: bool, results: Results) -> None:
    """Run the command; keep its answer, and the calls that its server received."""
    begun = time.time()
    ran = run_command("size", name, path, os.environ)
    found = ran.recommendation
    size = None if found is None else found.recommended_size
    seconds = time.time() - begun
    say(f"{name}: recommended {size} after {ran.load:.0f} s of load ({seconds:.0f} s)")
    arrivals = [at for at in server.arrivals() if at >= begun]
    most = most_allowed(CASES[name].rate, WINDOW)
    results.add(
        name,
        "review",
        push=push,
        size=size,
        as_fast=None if found is None else found.smallest_as_fast,
        limits=[] if found is None else [f"{one.kind} {one.value:g}" for one in found.limits],
        load=ran.load,
        exit_code=ran.exit_code,
        above=max(0.0, most_in_window(arrivals, WINDOW) - most),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One review of a server, and what its brute force showed.

    Args:
        answer: what `review` kept.
        refused_from: the smallest size that the server turned calls away at, or infinity.
    """

    name: str
    answer: dict[str, Any]
    tried: dict[int, Repeats]
    refused_from: float

    @property
    def size(self) -> int | None:
        """The recommended one."""
        size: int | None = self.answer["size"]
        return size

    @property
    def needed(self) -> Needed:
        """As far as the sizes tried tell."""
        return needed(self.tried)

    @property
    def misses(self) -> list[str]:
        """In words what it misses."""
        size, found = self.size, []
        if size is None:
            found.append("no answer")
        elif size >= self.refused_from:
            found.append("refused")
        elif is_below(size, self.tried):
            found.append("too small")
        elif not is_within(size, self.tried):
            found.append("too large" if is_too_large(size, self.tried) else "not known")
        if size is not None and self.answer["exit_code"] != 0:
            found.append("exit code")
        if self.above:
            found.append("pushed")
        return found

    @property
    def above(self) -> float:
        """Calls too many in a window of a review that was not to push."""
        return 0.0 if self.answer["push"] else float(self.answer["above"])

    def cells(self) -> list[str]:
        """Its cells of the table."""
        ratio = None if self.size is None else self.needed.ratio(self.size)
        tried = " ".join(f"{n}:{one.passed}/{one.count}" for n, one in self.tried.items())
        if self.refused_from < float("inf"):
            tried += f" {self.refused_from:.0f}:refused"
        answer = self.answer
        return [
            self.name,
            f"{CASES[self.name].rate:.0f}/s",
            "yes" if answer["push"] else "no",
            "no answer" if self.size is None else str(self.size),
            str(self.needed),
            "?" if ratio is None else f"{ratio:.2f}",
            "" if answer["as_fast"] is None else str(answer["as_fast"]),
            ", ".join(answer["limits"]),
            f"{answer['load']:.0f} s",
            "" if answer["push"] else f"{self.above:.0f}",
            str(answer["exit_code"]),
            tried,
            ", ".join(self.misses).upper(),
        ]


HEADS = ["server", "rate", "push", "recommended", "needed", "ratio", "as fast", "limits", "load"]
HEADS += ["above the rate", "exit", "passed", "missed"]


def report(rows: list[Row]) -> bool:
    """Print the table (Markdown), its caption and the summary; whether the figures are reached."""
    print(f"{caption()}\n\n| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    for row in rows:
        print(f"| {' | '.join(row.cells())} |")
    right = sum(not row.misses for row in rows)
    print(f"\n{right} of {len(rows)} within [1.00, {NEAR_ENOUGH:.2f}] or one connection (all)")
    is_quick = True
    for push, most in MOST_LOAD.items():
        loads = [row.answer["load"] for row in rows if row.answer["push"] is push and row.size]
        if loads:
            is_quick = is_quick and median(loads) <= most
            how = "with the sweep" if push else "without pushing"
            print(f"{median(loads):.0f} s of load {how}, median of those answered (<= {most:.0f})")
    return bool(rows) and right == len(rows) and is_quick


def main() -> int:
    """Examine every server, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.real_servers")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    chosen = parser.parse_args().only
    with tempfile.TemporaryDirectory() as folder:
        results = Results(Path(folder) / "results.jsonl", FORM.name, hash_of_code())
        for name in chosen:
            examine(name, results)
    rows = [
        Row(name, answer, tried_sizes(name, results), least_refused(name, results))
        for name in chosen
        for answer in results.of(name, "review")
    ]
    reached = report(rows)
    again = sum(1 for name in chosen for _ in results.of(name, "disturbed"))
    print(f"{again} repeats of brute force were not kept: others took too much of the cores")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
