"""What was noted while pools began empty, and several generators' notes as one.

All times are seconds since the moment at which all pools of the service began, so notes of several
generators add up as they are: dials and lost dials are summed, calls put side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from poolkit.load.measurement import Floats


@dataclass(frozen=True, slots=True)
class Seen:
    """What was noted of one cold start.

    Attributes:
        due: of each call.
        waited: of each call, from its start until its connection was up; inf: it got none.
        load_from: when calls began.
        load_until: when they ended.
        at_once: connections that all pools together dial as they begin.
        ready: when the last pool was open; None: one did not open.
        first_reply: the first good one; None: there was none.
        dialled: rows of (s, dials so far, CPU seconds of the process so far), often, in order.
        refused, failed: dials that brought no connection.
        generators: processes that the pools began in.
    """

    due: Floats
    waited: Floats
    load_from: float
    load_until: float
    at_once: int
    ready: float | None
    first_reply: float | None
    dialled: Floats
    refused: int
    failed: int
    generators: int = 1


def all_seen(each: Sequence[Seen]) -> Seen:
    """The notes of all generators (1 or more) as one: only the time in which all sent.

    The CPU is that of the busiest, which is the one that the dials may have waited for.
    """
    until = min(seen.load_until for seen in each)
    due = np.concatenate([seen.due for seen in each])
    counted = np.flatnonzero(due < until)
    order = counted[np.argsort(due[counted], kind="stable")]
    ready = [seen.ready for seen in each if seen.ready is not None]
    replies = [seen.first_reply for seen in each if seen.first_reply is not None]
    return Seen(
        due=due[order],
        waited=np.concatenate([seen.waited for seen in each])[order],
        load_from=max(seen.load_from for seen in each),
        load_until=until,
        at_once=sum(seen.at_once for seen in each),
        ready=max(ready) if len(ready) == len(each) else None,
        first_reply=min(replies, default=None),
        dialled=_dialled([seen.dialled for seen in each], until),
        refused=sum(seen.refused for seen in each),
        failed=sum(seen.failed for seen in each),
        generators=sum(seen.generators for seen in each),
    )


def _dialled(each: Sequence[Floats], until: float) -> Floats:
    """The rows of all: at each one's moments, what all had dialled, and the busiest one's CPU."""
    at = np.unique(np.concatenate([rows[:, 0] for rows in each]))
    at = at[at < until]
    dials, cpu = np.zeros_like(at), np.zeros_like(at)
    for rows in each:
        if rows.size:
            last = np.searchsorted(rows[:, 0], at, side="right") - 1
            dials += np.where(last < 0, 0.0, rows[last, 1])
            cpu = np.maximum(cpu, np.where(last < 0, 0.0, rows[last, 2] - rows[0, 2]))
    return np.column_stack([at, dials, cpu])


def conditions(seen: Seen) -> Iterator[tuple[str, bool]]:
    """What must be so of notes that came over a network, each with what is wrong otherwise."""
    times = [seen.load_from, seen.load_until]
    times += [one for one in (seen.ready, seen.first_reply) if one is not None]
    counts = (seen.at_once, seen.refused, seen.failed)
    yield "the times of its start", all(np.isfinite(one) and one >= 0.0 for one in times)
    yield "the times of its start", seen.load_from <= seen.load_until
    yield "the dials of its start", all(isinstance(one, int) and one >= 0 for one in counts)
    yield "the calls of its start", seen.due.shape == seen.waited.shape == (seen.due.size,)
    yield "the calls of its start", bool(np.isfinite(seen.due).all() and (seen.waited >= 0.0).all())
    rows = seen.dialled
    yield "the dials of its start", rows.ndim == 2 and rows.shape[1] == 3 and len(rows) > 0
    rising = bool((np.diff(rows, axis=0) >= 0.0).all())
    yield "the dials of its start", bool(np.isfinite(rows).all() and (rows >= 0.0).all()) and rising
