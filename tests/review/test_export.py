"""recommended.json, .csv and .md."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from poolkit.recommend import recommend, unreachable
from poolkit.records import Recommendation, RecommendedFile, Resumed
from poolkit.review.export import CSV_COLUMNS, to_csv, to_json, to_markdown
from tests.recommend.examples import (
    check,
    database_target,
    http_target,
    sizing,
    trial,
    verification,
    verifying_trial,
)

CREATED = "2026-11-21T00:00:00Z"

# The contract: programs read these keys, so they change together with the schema's version only.
KEYS: dict[str, set[str]] = {
    "": {"schema", "created", "targets"},
    "targets": {
        "target",
        "driver",
        "status",
        "verdict",
        "bound_by",
        "cold",
        "source",
        "production",
        "target_rate",
        "target_rate_from",
        "wait_p99",
        "response_p99",
        "recommended_size",
        "smallest_as_fast",
        "limits",
        "size_for_reachable",
        "push",
        "limited_by",
        "headroom",
        "reachable_rate",
        "knees",
        "plateau",
        "hold_time",
        "parameters",
        "rules_of_thumb",
        "verification",
        "checks",
        "trials",
        "seconds",
        "resumed",
        "replica_changes",
    },
    "targets.knees": {"rule", "size", "interval95"},
    "targets.plateau": {"throughput", "interval95"},
    "targets.hold_time": {"at_one", "at_recommended"},
    "targets.parameters": {"name", "value", "unit", "because", "source"},
    "targets.rules_of_thumb": {"name", "size", "fails"},
    "targets.verification": {
        "achieved_rate",
        "wait_p99",
        "wait_p99_interval95",
        "reuse_ratio",
        "disconnects",
        "signals",
    },
    "targets.verification.signals": {"name", "passed", "seen"},
    "targets.checks": {"name", "passed", "seen", "why", "next"},
    "targets.resumed": {"trials", "oldest", "newest"},
}


RESUMED = Resumed(trials=1, oldest="2026-11-19T08:00:03+00:00", newest="2026-11-19T08:00:03+00:00")


def whole() -> Recommendation:
    trials = [trial(checks=(check(seen="0.20 of a core"),)), verifying_trial()]
    found = recommend(http_target(), sizing(), verification(), trials, "done", 31.2)
    return found.model_copy(update={"resumed": RESUMED})


def examples() -> list[Recommendation]:
    return [
        whole(),
        unreachable(http_target(name="dead"), "connection | refused\nby it", "start the server"),
    ]


def keys_of(value: Any, path: str = "") -> dict[str, set[str]]:
    """Every key that occurs in a JSON document, by the path of its object."""
    found: dict[str, set[str]] = {}
    if isinstance(value, list):
        for item in value:
            for where, keys in keys_of(item, path).items():
                found.setdefault(where, set()).update(keys)
    elif isinstance(value, dict):
        found[path] = set(value)
        for key, item in value.items():
            found |= keys_of(item, f"{path}.{key}".lstrip("."))
    return found


def test_json_has_exactly_the_keys_of_the_contract() -> None:
    """No key more, none less, at every level."""
    document = json.loads(to_json([whole()], CREATED))
    assert document["schema"] == "poolkit.recommended/2"
    assert keys_of(document) == KEYS


def test_a_failed_target_has_the_same_keys() -> None:
    """A program need not ask which keys are there: what is not known is null or empty."""
    (target,) = json.loads(to_json(examples()[1:], CREATED))["targets"]
    assert set(target) == KEYS["targets"]
    assert target["recommended_size"] is None
    assert target["parameters"] == []


def test_json_reads_back_as_it_was_written() -> None:
    """Writing and reading is the identity, but for a knee's note, which is not part of the file."""
    read = RecommendedFile.model_validate_json(to_json(examples(), CREATED))
    assert read.created == CREATED
    assert to_json(read.targets, CREATED) == to_json(examples(), CREATED)


def test_csv_has_a_size_row_and_a_row_for_each_parameter() -> None:
    """A spreadsheet opens it: one header, the same cells in each row, line ends within cells."""
    rows = list(csv.DictReader(io.StringIO(to_csv(examples()))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["parameter"] for row in rows[:3]] == ["recommended_size", "limit", "limit_per_host"]
    assert (rows[0]["value"], rows[0]["because"]) == ("14", "verified under load")
    dead = rows[-1]
    assert (dead["target"], dead["value"], dead["source"]) == ("dead", "", "")
    assert dead["because"] == "connection | refused\nby it"
    assert len(rows) == 1 + 10 + 1


MARKDOWN = """\
# Recommended connection pools

Measured 2026-11-21 with poolkit. Sizes are of one pool. The time limits follow from the calls \
that were measured: other, slower calls through the same pool need longer ones.

| target | driver | size | rate asked | rate carried | p99 wait | verified |
|---|---|---:|---:|---:|---:|---|
| orders-db | asyncpg | 14 | 800 calls/s | 499 calls/s | 6.1 ms | yes |
| dead | aiohttp | – | 500 calls/s | – | – | unreachable |

## orders-db

**14 connections** in each pool, limited by wait. Verdict: `server_bound`. Plateau: 785 calls/s \
(95 %: 770–800). 1 trial, 31.2 s of load.

| parameter | value | unit | source | because |
|---|---:|---|---|---|
| `min_size` | 14 | connections | measured | the same as max_size: a pool that shrinks when it \
is quiet makes the first callers of the next rush wait for dials (verified so, 2 dials in 8 s) |
| `max_size` | 14 | connections | measured | the smallest pool whose p99 wait stays within 10 ms \
at 500 calls/s; verified at 499 calls/s: p99 wait 6.1 ms |
| `max_inactive_connection_lifetime` | 300 | s | library | library default; below the 350 s after \
which AWS drops a silent connection (Azure 240 s: set less there); PostgreSQL itself closes none \
by default, and under load each is used every 28 ms on average |
| `timeout` | 5 | s | rule | a lost first packet is sent again after 1 s and 3 s, so a server that \
has not accepted within 5 s is down |
| `command_timeout` | 2 | s | measured | 1 s above statement_timeout (1 s): the server gives up \
first, and the connection lives on |
| `acquire_timeout` | 1 | s | rule | 10 times the p99 wait allowed (10 ms), at least 1 s: whoever \
waits longer meets a fault, not a queue; the longest wait seen at the target rate was 21 ms |
| `statement_timeout` | 1 | s | measured | hold p99 at 14 connections and 500 calls/s was 41 ms; \
10 times that, at least 1 s; a statement is part of it |

## dead

No size can be recommended (unreachable).

To be doubted:

- **finished**: connection \\| refused by it (no load was sent, so nothing is known about this \
target). Next: start the server.
"""


def test_markdown_reads_like_this() -> None:
    """The document that is pasted into a ticket, in full."""
    verified = recommend(
        database_target(), sizing(), verification(), [verifying_trial()], "done", 31.2
    )
    assert to_markdown([verified, examples()[1]], CREATED) == MARKDOWN
