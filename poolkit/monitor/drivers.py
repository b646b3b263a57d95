"""Which pools can be listened to, and the file that knows how; a driver is loaded when met."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from poolkit.drivers.hooks import Hook
from poolkit.drivers.table import DATABASE_DRIVERS, DRIVERS, HTTP_DRIVERS
from poolkit.monitor.calls import Call, Sites
from poolkit.monitor.tap import Tap

# Package of a pool's class -> its driver, and the packages whose frames are not the program's own.
_DRIVERS = {
    package: (driver, packages)
    for driver, row in DRIVERS.items()
    for package, packages in row.watched.items()
}
SUPPORTED = (
    ", ".join(DRIVERS[name].watched_names for name in DATABASE_DRIVERS + HTTP_DRIVERS)
    + ", and the pools of a pools.py that poolkit wrote"
)
# Where a pool of pools.py keeps the library's own.
_WRAPPED = ("pool", "session", "client")
_LAYERS = 2  # a gate before a database pool of pools.py


@dataclass(frozen=True, slots=True)
class _Found:
    """A pool, the hook that fits it, and what stands around it."""

    hook: Hook
    packages: tuple[str, ...]
    gate: Any = None
    wrapper: type | None = None


def attach(pool: Any, library: Sequence[str] = ()) -> Tap:
    """The tap of a live pool: the one that listens already, or a new one.

    Args:
        library: more files or folders whose frames are not the program's own.

    Raises:
        TypeError: not a pool that poolkit can listen to.
    """
    found = _find(pool)
    tap = _tap_of(found.hook)
    if tap is None:
        sites = Sites(folder for name in found.packages if (folder := _folder(name)))
        tap = Tap(found.hook, sites)
        found.hook.attach(tap)
        with suppress(RuntimeError):  # no loop runs here as yet
            tap.makers.follow(asyncio.get_running_loop())
        if found.gate is not None:
            tap.gate, slot = found.gate, found.gate.slot
            tap.gate.slot = lambda: _Place(tap, slot())
    extra = [os.path.abspath(path) for path in library]
    if found.wrapper is not None:
        extra.append(_file_of(found.wrapper))
    tap.sites.add_library(path for path in extra if path)
    tap.users += 1
    return tap


def existing(pool: Any) -> Tap | None:
    """The tap that listens to this pool; None where none does. TypeError: not a pool."""
    return _tap_of(_find(pool).hook)


def let_go(tap: Tap) -> None:
    """One reader less; the pool is left as it was when the last one has gone."""
    tap.users -= 1
    if tap.users <= 0:
        tap.hook.detach()
        tap.makers.leave()
        if tap.gate is not None:
            vars(tap.gate).pop("slot", None)


def _tap_of(hook: Hook) -> Tap | None:
    """The tap that listens where `hook` would."""
    found: Tap | None = getattr(hook.place, "_poolkit_tap", None)
    return found


def _find(pool: Any) -> _Found:
    found = _direct(pool) or _inside(pool, _LAYERS)
    if found is not None:
        return found
    kind = type(pool)
    raise TypeError(
        f"cannot listen to a {kind.__module__}.{kind.__qualname__}; supported are {SUPPORTED}"
    )


def _inside(pool: Any, layers: int) -> _Found | None:
    """The library's pool within a pool of pools.py, and the gate before it."""
    for name in _WRAPPED if layers else ():
        inner = getattr(pool, name, None)
        found = None if inner is None else _direct(inner) or _inside(inner, layers - 1)
        if found is not None:
            gate = getattr(pool, "gate", None)
            is_gate = hasattr(gate, "slot") and hasattr(gate, "waiting")
            return replace(found, gate=gate if is_gate else found.gate, wrapper=type(pool))
    return None


def _direct(pool: Any) -> _Found | None:
    for kind in type(pool).__mro__:
        known = _DRIVERS.get(kind.__module__.partition(".")[0])
        if known is not None:
            name, packages = known
            hook: Hook | None = importlib.import_module(f"poolkit.drivers.{name}").hook_of(pool)
            return None if hook is None else _Found(hook, packages)
    return None


def _file_of(kind: type) -> str:
    """The file that defines a class, from its methods' code; empty where that is none."""
    for method in vars(kind).values():
        code = getattr(inspect.unwrap(method), "__code__", None) if callable(method) else None
        # What dataclasses add is made from a text.
        if code is not None and not code.co_filename.startswith("<"):
            return str(code.co_filename)
    return ""


def _folder(package: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    return os.path.join(os.path.dirname(spec.origin), "")


class _Place:
    """One place behind the gate, as its `slot()` gives it.

    The wait goes on until the call also holds a connection; behind a gate of the pool's size that
    is at once.
    """

    __slots__ = ("_call", "_slot", "_tap")

    def __init__(self, tap: Tap, slot: Any) -> None:
        self._tap = tap
        self._slot = slot
        self._call: Call | None = None

    async def __aenter__(self) -> None:
        self._call = call = self._tap.ask(sys._getframe(1))
        self._tap.gated.add(call)
        try:
            await self._slot.__aenter__()
        except BaseException as error:
            self._tap.gated.discard(call)
            self._tap.failed(
                call,
                is_timeout=isinstance(error, TimeoutError),
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
            raise

    async def __aexit__(self, *error: Any) -> bool | None:
        call = self._call
        if call is not None:
            self._tap.gated.discard(call)
            self._tap.withdraw(call)
        return await self._slot.__aexit__(*error)  # type: ignore[no-any-return]
