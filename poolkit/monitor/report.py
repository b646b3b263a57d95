"""A snapshot in words: text for a log, HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from poolkit.monitor.snapshot import Holder, Shortage, Snapshot, Waiter

_ROWS = 10  # of each table; the rest is counted
_FULL = 0.95  # of a pool's size: from here on waits grow without a burst

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, head, rows


@dataclass(frozen=True, repr=False)
class Report:
    """What a watch saw; `print` shows text, a notebook a table."""

    snapshot: Snapshot

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, most urgent first, one sentence each; empty: nothing is."""
        return tuple(_findings(self.snapshot))

    @property
    def text(self) -> str:
        """The report as plain text."""
        lines = [_headline(self.snapshot), *(f"  ! {finding}" for finding in self.findings)]
        for title, head, rows in _tables(self.snapshot):
            if not rows:
                continue
            lines += ["", title, *_columns(head, rows[:_ROWS]), *_rest(rows)]
        return "\n".join(lines)

    @property
    def html(self) -> str:
        """The report as HTML that needs no script and no style sheet."""
        parts = [f"<p><strong>{escape(_headline(self.snapshot))}</strong></p>"]
        if self.findings:
            items = "".join(f"<li>{escape(finding)}</li>" for finding in self.findings)
            parts.append(f'<ul role="alert">{items}</ul>')
        for title, head, rows in _tables(self.snapshot):
            if rows:
                parts.append(_html_table(title, head, rows))
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.html


def duration(seconds: float) -> str:
    """Seconds as they are read: 340 ms, 12.5 s, 4 min 10 s."""
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def plural(count: int, one: str, more: str) -> str:
    """`1 time`, `3 times`."""
    return f"{count} {one if count == 1 else more}"


def _by_place(holders: Sequence[Holder]) -> Iterable[tuple[str, list[Holder]]]:
    """Holders by call site, in each the longest first."""
    for where in dict.fromkeys(holder.where for holder in holders):
        some = [holder for holder in holders if holder.where == where]
        yield where, sorted(some, key=lambda holder: -holder.seconds)


def _headline(pool: Snapshot) -> str:
    if pool.is_closed:
        return f"{pool.name} ({pool.driver}) is closed"
    size = "no limit" if pool.pool_size is None else f"size {pool.pool_size}"
    # What the pool has closed or disposed of meanwhile counts no more there; its callers have it.
    gone = len(pool.holders) - (pool.in_use - pool.unheld)
    in_use = f"{pool.in_use} in use"
    if gone > 0:
        in_use += f" ({gone} more out that the pool has given up)"
    return (
        f"{pool.name} ({pool.driver}, {size}): {in_use}, {pool.idle} idle, {pool.waiting} waiting"
    )


def _findings(pool: Snapshot) -> Iterable[str]:
    lock = pool.deadlock
    if lock is not None:
        through = ", themselves or through tasks that they wait for"
        yield (
            f"pool-locking deadlock: all {pool.pool_size} connections are held by tasks that wait "
            f"for another one{through if lock.is_through_children else ''} ({_some(lock.names)}). "
            f"{lock.tasks} tasks with up to {lock.per_task} connections each need a pool of at "
            f"least T * (m - 1) + 1 = {lock.floor}; better, ask for one connection and pass it on"
        )
    if pool.unheld:
        yield (
            f"{plural(pool.unheld, 'connection is', 'connections are')} in use that no call has: "
            f"{pool.driver} lost track of them when calls were cancelled, and they stay taken "
            "until the pool is closed; close it and open another one, and limit calls by the "
            "library's own timeouts instead of cancelling their tasks"
        )
    if pool.shortage is not None:
        yield _in_vain(pool.shortage, pool)
    out = pool.never_came_back
    dropped = [holder for holder in out if holder.fate in ("forgotten", "collected")]
    for where, some in _by_place(dropped):
        yield (
            f"{plural(len(some), 'connection was', 'connections were')} dropped without a release, "
            f"taken at {where}: use `async with` there"
        )
    for where, some in _by_place([holder for holder in out if holder.fate == "left"]):
        names = list(dict.fromkeys(holder.task for holder in some))
        ended = "a task that has" if len(names) == 1 else "tasks that have"
        yield (
            f"{plural(len(some), 'connection is', 'connections are')} held by {ended} ended "
            f"({_some(names)}), taken at {where}; out for {duration(some[0].seconds)}: release it "
            "there on every way out, `async with` does"
        )
    for where, some in _by_place([holder for holder in out if holder.fate == "overdue"]):
        yield (
            f"{plural(len(some), 'connection is', 'connections are')} out for "
            f"{duration(some[0].seconds)}, taken at {where} by {some[0].task or 'no task'}"
        )
    if lock is None:
        for place in pool.places:
            if place.second_asks:
                yield (
                    "a task asked for a second connection while it held one, "
                    f"{plural(place.second_asks, 'time', 'times')} at {place.where}: with enough "
                    "of them at once nobody can go on"
                )


def _in_vain(calls: Shortage, pool: Snapshot) -> str:
    """Who got no connection, and whether the pool could have served what was asked of it."""
    parts = []
    if calls.timeouts:
        parts.append(f"{plural(calls.timeouts, 'call', 'calls')} timed out waiting")
    if calls.abandoned:
        was = plural(calls.abandoned, "call was", "calls were")
        parts.append(f"{was} cancelled while waiting")
    who = (
        f"{' and '.join(parts)} for a connection, after up to {duration(calls.longest)}, the last "
        f"at {calls.where}"
    )
    asked = f"{calls.arrival_rate:.3g} calls/s asked ({calls.asks} in {duration(calls.seconds)})"
    load, hold, size = calls.offered_load, calls.hold_time, pool.pool_size
    if size is None:
        return f"{who}; {asked}"
    if load is None or not hold:
        return f"{who}; {asked} and no connection came back"
    need = (
        f"{asked} x {duration(hold)} held = {load:.3g} connections busy, of {size} that serve at "
        f"most {size / hold:.3g} calls/s"
    )
    stuck = pool.unheld + sum(one.fate in ("forgotten", "left") for one in pool.holders)
    if stuck or pool.deadlock is not None:
        return f"{who}; {need}, some of which do not come back: mend that first"
    if load > _FULL * size:
        return f"{who}; {need}: hold connections for less time, or make the pool larger"
    return f"{who}; {need}: enough on average, so they came in a burst or behind long holds"


def _tables(pool: Snapshot) -> Iterable[Table]:
    yield (
        "Held the longest",
        ("for", "task", "taken at", "note"),
        [(duration(h.seconds), h.task, h.where, _remark(h)) for h in pool.holders],
    )
    yield (
        "Waiting the longest",
        ("for", "task", "asked at", "holds"),
        [
            (
                duration(w.seconds),
                w.task,
                w.where,
                _holds(w),
            )
            for w in pool.waiters
        ],
    )
    yield (
        "Call sites, by time held",
        ("calls", "mean", "longest", "at"),
        [
            (str(p.calls), duration(p.mean), duration(p.longest), p.where)
            for p in pool.places
            if p.mean is not None
        ],
    )


def _remark(holder: Holder) -> str:
    remark = _REMARKS[holder.fate]
    return remark or (_REMARKS["left"] if holder.has_ended else "")


def _holds(waiter: Waiter) -> str:
    if not waiter.holds:
        return ""
    held = f"{waiter.holds}, from {waiter.holds_from}"
    return f"{waiter.behind}, which waits for it, holds {held}" if waiter.behind else held


_REMARKS = {
    "held": "",
    "overdue": "overdue",
    "left": "its task has ended",
    "forgotten": "dropped, never released",
    "collected": "dropped, never released",
}


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    table = [head, *rows]
    widths = [max(len(row[index]) for row in table) for index in range(len(head))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _rest(rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"  and {len(rows) - _ROWS} more"] if len(rows) > _ROWS else []


def _html_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    left = 'style="text-align:left"'  # notebooks set cells to the right
    top = "".join(f'<th scope="col" {left}>{escape(word)}</th>' for word in head)
    body = "".join(
        f"<tr>{''.join(f'<td {left}>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in rows[:_ROWS]
    )
    rest = "".join(f"<p>{escape(line.strip())}</p>" for line in _rest(rows))
    return (
        f"<table><caption {left}>{escape(title)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table>{rest}"
    )


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
