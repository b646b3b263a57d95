"""Service models: when a call that arrives now will be answered. Pure: no clock, no socket.

Every model keeps virtual time: it computes the exact moment at which a call is done from the moment
at which it arrives, so the lateness of a machine's timers delays one reply and never adds up to a
lower capacity. A model is a frozen description with its truth; `start()` makes its moving part.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from poolkit.errors import BadInput
from poolkit.lab.durations import Draw, duration, either


class Service(Protocol):
    """The moving part of a model: it is told of every arrival, in order of time."""

    def arrive(self, at: float) -> float:
        """The moment (s) at which the call that arrives at `at` stops waiting for the model."""
        ...


class Model(Protocol):
    """A frozen description of an upstream whose capacity is known."""

    kind: ClassVar[str]

    @property
    def places(self) -> int | None:
        """Calls served side by side; None: no limit."""
        ...

    def throughput(self, callers: int) -> float:
        """Calls/s that this many callers without pauses can reach, at most."""
        ...

    def start(self) -> Service:
        """A new moving part, idle and with its seed at the start."""
        ...


class _Queue:
    """The truth of `workers` servers behind one queue, whatever their service times vary by."""

    __slots__ = ()
    workers: int
    service_time: float

    @property
    def places(self) -> int | None:
        """One call a worker."""
        return self.workers

    @property
    def plateau(self) -> float:
        """Calls/s with every worker busy: workers / service_time."""
        return self.workers / self.service_time

    def throughput(self, callers: int) -> float:
        """min(n, workers) / service_time: exact, as n callers keep n workers busy."""
        return min(callers, self.workers) / self.service_time


@dataclass(frozen=True, slots=True)
class Workers(_Queue):
    """`workers` servers behind one first-come-first-served queue.

    `service_time` is the mean in s, `cv` its coefficient of variation (0: constant, else
    lognormal).
    """

    kind: ClassVar[str] = "workers"
    workers: int
    service_time: float
    cv: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        _at_least("workers", self.workers, 1)
        _above_zero("service_time", self.service_time)
        _at_least("cv", self.cv, 0)

    def start(self) -> Service:
        """Idle workers."""
        return _WorkersQueue(self.workers, duration(self.service_time, self.cv, self.seed))


class _WorkersQueue:
    """State: the moment at which each worker is next free."""

    def __init__(self, workers: int, draw: Draw) -> None:
        self._free_at = [-math.inf] * workers
        self._draw = draw

    def arrive(self, at: float) -> float:
        # First come, first served means that a call takes whichever worker is free first, so its
        # completion is known on arrival.
        done = max(at, self._free_at[0]) + self._draw()
        heapq.heapreplace(self._free_at, done)
        return done


@dataclass(frozen=True, slots=True)
class Mixed(_Queue):
    """`workers` servers behind one queue for two kinds of calls: fast ones and some slow ones.

    `fast` and `slow` are mean service times in s, each varying by `cv`; `slow_share` (0 to 1) of
    the calls are slow.
    """

    kind: ClassVar[str] = "mixed"
    workers: int
    fast: float
    slow: float
    slow_share: float
    cv: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        _at_least("workers", self.workers, 1)
        _above_zero("fast", self.fast)
        _above_zero("slow", self.slow)
        _at_least("cv", self.cv, 0)
        if not 0 <= self.slow_share <= 1:
            raise BadInput(f"slow_share must be between 0 and 1, got {self.slow_share}")

    @property
    def service_time(self) -> float:  # type: ignore[override]
        """Mean over both kinds (s)."""
        return (1 - self.slow_share) * self.fast + self.slow_share * self.slow

    def start(self) -> Service:
        """Idle workers."""
        slow, fast = (
            duration(mean, self.cv, self.seed + kind)
            for kind, mean in enumerate((self.slow, self.fast))
        )
        return _WorkersQueue(self.workers, either(slow, self.slow_share, fast, self.seed))


@dataclass(frozen=True, slots=True)
class CpuBound:
    """Calls wait `delay` s side by side, then each burns `cpu` s on the server's only thread.

    `cv` is the coefficient of variation of the delay; the burnt time is constant. The burnt time
    includes the server's own work for the call, so the plateau is 1 / cpu.
    """

    kind: ClassVar[str] = "cpu"
    delay: float
    cpu: float
    cv: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        _at_least("delay", self.delay, 0)
        _above_zero("cpu", self.cpu)
        _at_least("cv", self.cv, 0)

    @property
    def places(self) -> int | None:
        """No limit: calls gather in front of the thread."""
        return None

    @property
    def plateau(self) -> float:
        """Calls/s with the thread always busy: 1 / cpu."""
        return 1 / self.cpu

    def throughput(self, callers: int) -> float:
        """min(n / (delay + cpu), 1 / cpu): the two asymptotes; the curve runs below them."""
        return min(callers / (self.delay + self.cpu), self.plateau)

    def start(self) -> Service:
        """The delay in front of the thread; the server itself burns (see `Burner`)."""
        return _Delay(self)


class _Delay:
    def __init__(self, model: CpuBound) -> None:
        self._draw = duration(model.delay, model.cv, model.seed)

    def arrive(self, at: float) -> float:
        return at + self._draw()


class Burner:
    """The one thread of a `CpuBound` upstream: until when it is busy.

    State: the virtual moment at which the thread is next free.
    """

    # A thread that lost time to other processes may catch up by shortening its burns, but only so
    # far: otherwise it would stop burning at all after a long stall.
    _MOST_CATCH_UP = 0.5

    def __init__(self, cpu: float) -> None:
        self._cpu = cpu
        self._free_at = -math.inf

    def burn_until(self, ready: float, now: float) -> float:
        """The moment (s) until which the thread is burnt for a call ready at `ready`."""
        start = max(ready, self._free_at, now - self._MOST_CATCH_UP * self._cpu)
        self._free_at = start + self._cpu
        return self._free_at


@dataclass(frozen=True, slots=True)
class Contended:
    """Every call is served at once, but slower the more calls are in service when it starts.

    Its time is base * (1 + sigma * (n - 1) + kappa * n * (n - 1)) with n the calls in service,
    itself included: the Universal Scalability Law (Gunther, "Guerrilla Capacity Planning", 2007,
    ch. 4) read as a service time. `base` is in s and varies with `cv`; `sigma` and `kappa` have no
    unit.
    """

    kind: ClassVar[str] = "contended"
    base: float
    sigma: float
    kappa: float
    cv: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        _above_zero("base", self.base)
        for name in ("sigma", "kappa", "cv"):
            _at_least(name, getattr(self, name), 0)

    @property
    def places(self) -> int | None:
        """No limit."""
        return None

    @property
    def plateau(self) -> float:
        """Calls/s at the highest point of the curve (its limit, where it never falls)."""
        if self.kappa == 0:
            return 1 / (self.base * self.sigma) if self.sigma else math.inf
        peak = max(1, math.isqrt(math.floor(max(0.0, 1 - self.sigma) / self.kappa)))
        return max(self.throughput(peak), self.throughput(peak + 1))

    def slowdown(self, callers: int) -> float:
        """How many times `base` a call takes with this many in service."""
        return 1 + self.sigma * (callers - 1) + self.kappa * callers * (callers - 1)

    def throughput(self, callers: int) -> float:
        """n / (base * slowdown(n))."""
        return callers / (self.base * self.slowdown(callers))

    def start(self) -> Service:
        """Nothing in service."""
        return _Contention(self)


class _Contention:
    """State: the completion moments of the calls in service."""

    def __init__(self, model: Contended) -> None:
        self._model = model
        self._done_at: list[float] = []
        self._draw = duration(model.base, model.cv, model.seed)

    def arrive(self, at: float) -> float:
        while self._done_at and self._done_at[0] <= at:
            heapq.heappop(self._done_at)
        done = at + self._draw() * self._model.slowdown(len(self._done_at) + 1)
        heapq.heappush(self._done_at, done)
        return done


AnyModel = Workers | Mixed | CpuBound | Contended
_KINDS: dict[str, type[AnyModel]] = {
    model.kind: model for model in (Workers, Mixed, CpuBound, Contended)
}


def to_dict(model: AnyModel) -> dict[str, Any]:
    """The model as plain data; `from_dict` reads it back."""
    return {"kind": model.kind, **asdict(model)}


def from_dict(data: dict[str, Any]) -> AnyModel:
    """The model that `to_dict` wrote; raises `BadInput` on an unknown kind or field."""
    fields = dict(data)
    kind = fields.pop("kind", None)
    if kind not in _KINDS:
        raise BadInput(f"kind must be one of {', '.join(sorted(_KINDS))}, got {kind!r}")
    try:
        return _KINDS[kind](**fields)
    except TypeError as error:
        raise BadInput(f"not a {kind} model: {error}") from error


def _at_least(name: str, value: float, least: float) -> None:
    if not (math.isfinite(value) and value >= least):
        raise BadInput(f"{name} must be {least:g} or more, got {value}")


def _above_zero(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise BadInput(f"{name} must be above 0, got {value}")
