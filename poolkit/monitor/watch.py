"""A watch on a live pool: who holds, who waits, what never came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from poolkit.monitor import drivers
from poolkit.monitor.report import Report
from poolkit.monitor.snapshot import Snapshot, take
from poolkit.monitor.tap import Tap

OVERDUE = 30.0  # s


class Watch:
    """A watch that goes on until `unwatch`, the end of its `with`, or the pool's own end.

    Made by `watch`. State: the tap that it reads, None once it has ended.
    """

    def __init__(self, tap: Tap, name: str, held_longer_than: float) -> None:
        self._tap: Tap | None = tap
        self._last: Snapshot | None = None
        self.name = name
        self.held_longer_than = held_longer_than

    def __repr__(self) -> str:
        return f"Watch({self.name!r}, {'on' if self.is_on else 'ended'})"

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_error: object) -> None:
        self.unwatch()

    @property
    def is_on(self) -> bool:
        """Whether the pool is still listened to."""
        return self._tap is not None

    def snapshot(self) -> Snapshot:
        """The pool at this moment; the last moment of a watch that has ended."""
        if self._tap is not None:
            return take(self._tap, self.name, self.held_longer_than)
        assert self._last is not None
        return self._last

    def report(self) -> Report:
        """`snapshot` in words: `print` it, or end a notebook's cell with it."""
        return Report(self.snapshot())

    def unwatch(self) -> None:
        """End the watch and leave the pool as it was; harmless when it has ended."""
        tap = self._tap
        if tap is None:
            return
        self._last = self.snapshot()
        self._tap = None
        tap.watch = None
        drivers.let_go(tap)


def watch(
    pool: Any,
    *,
    name: str | None = None,
    held_longer_than: float = OVERDUE,
    library: Sequence[str] = (),
) -> Watch:
    """Watch a live pool from now on; a pool that is watched already keeps its watch.

    Args:
        pool: a pool, engine, session or client of a supported driver, or a pool of a pools.py; in
            use or not.
        name: what reports call it; the driver's name by default.
        held_longer_than: s from which a connection that is out is reported, more than 0.
        library: files or folders of the program that only pass calls on: the call site is whoever
            calls them.

    Raises:
        TypeError: not a pool that can be watched.
        ValueError: held_longer_than is not more than 0, or differs from that of the watch there is.
    """
    if not held_longer_than > 0:
        raise ValueError(f"held_longer_than must be more than 0 s, got {held_longer_than}")
    tap = drivers.existing(pool)
    if tap is not None and tap.watch is not None:
        before: Watch = tap.watch
        if (name or before.name, held_longer_than) != (before.name, before.held_longer_than):
            raise ValueError(
                f"this pool is watched already, as {before.name!r} with held_longer_than = "
                f"{before.held_longer_than:g}; unwatch(pool) first to change that"
            )
        return before
    tap = drivers.attach(pool, library)
    watching = Watch(tap, name or tap.hook.driver, held_longer_than)
    tap.watch = watching
    return watching


def unwatch(pool: Any) -> None:
    """End the watch on a pool, if there is one."""
    tap = drivers.existing(pool)
    if tap is not None and tap.watch is not None:
        tap.watch.unwatch()
