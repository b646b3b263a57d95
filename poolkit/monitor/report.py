"""A snapshot in words: text for a log, HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from poolkit.monitor.snapshot import Holder, Snapshot

_ROWS = 10  # of each table; the rest is counted

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
    return (
        f"{pool.name} ({pool.driver}, {size}): {pool.in_use} in use, {pool.idle} idle, "
        f"{pool.waiting} waiting"
    )


def _findings(pool: Snapshot) -> Iterable[str]:
    lock = pool.deadlock
    if lock is not None:
        yield (
            f"pool-locking deadlock: all {pool.pool_size} connections are held by tasks that wait "
            f"for another one ({_some(lock.names)}). {lock.tasks} tasks with up to "
            f"{lock.per_task} connections each need a pool of at least T * (m - 1) + 1 = "
            f"{lock.floor}; better, ask for one connection and pass it on"
        )
    out = pool.never_came_back
    dropped = [holder for holder in out if holder.fate in ("forgotten", "collected")]
    for where, some in _by_place(dropped):
        yield (
            f"{plural(len(some), 'connection was', 'connections were')} dropped without a release, "
            f"taken at {where}: use `async with` there"
        )
    for where, some in _by_place([holder for holder in out if holder.fate == "left"]):
        yield (
            f"{plural(len(some), 'connection is', 'connections are')} out though the task that "
            f"took it has ended, taken at {where}; out for {duration(some[0].seconds)}"
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


def _tables(pool: Snapshot) -> Iterable[Table]:
    yield (
        "Held the longest",
        ("for", "task", "taken at", "note"),
        [(duration(h.seconds), h.task, h.where, _REMARKS[h.fate]) for h in pool.holders],
    )
    yield (
        "Waiting the longest",
        ("for", "task", "asked at", "holds"),
        [
            (
                duration(w.seconds),
                w.task,
                w.where,
                f"{w.holds}, from {w.holds_from}" if w.holds else "",
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
