"""Service models: when a call that arrives now will be answered. Pure: no clock, no socket.

Every model keeps virtual time: it computes the exact moment at which a call is done from the moment
at which it arrives, so the lateness of a machine's timers delays one reply and never adds up to a
lower capacity. A model is a frozen description with its truth; `start()` makes its moving part.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, ClassVar

from poolkit.errors import BadInput

Draw = Callable[[], float]
Arrive = Callable[[float], float]
"""The moving part of a model, called with every arrival (s) in order of time: when it is done."""

_RULES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("service_time", "fast", "slow", "cpu", "base"), lambda v: 0 < v < math.inf, "above 0"),
    (("delay", "sigma", "kappa", "cv"), lambda v: 0 <= v < math.inf, "0 or more"),
    (("workers",), lambda v: 1 <= v < math.inf, "1 or more"),
    (("slow_share",), lambda v: 0 <= v <= 1, "between 0 and 1"),
)


@dataclass(frozen=True, slots=True)
class Model(ABC):
    """A frozen description of an upstream whose capacity is known.

    Every model has `cv`, the coefficient of variation of its times (0: constant, else lognormal),
    and the `seed` that they are drawn with.
    """

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            for names, holds, rule in _RULES:
                if name in names and not holds(value):
                    raise BadInput(f"{name} must be {rule}, got {value}")

    @property
    def places(self) -> int | None:
        """Calls served side by side; None: no limit."""
        return None

    @property
    @abstractmethod
    def plateau(self) -> float:
        """The highest throughput (calls/s) of any number of callers."""

    @abstractmethod
    def throughput(self, callers: int) -> float:
        """Calls/s that this many callers without pauses can reach, at most."""

    @abstractmethod
    def start(self) -> Arrive:
        """A new moving part, idle and with its seed at the start."""


class _Queue(Model):
    """`workers` servers behind one first-come-first-served queue, whatever their times vary by."""

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

    @abstractmethod
    def _durations(self) -> Draw: ...

    def start(self) -> Arrive:
        """Idle workers."""
        draw = self._durations()
        free_at = [-math.inf] * self.workers

        def arrive(at: float) -> float:
            # First come, first served means that a call takes whichever worker is free first, so
            # its completion is known on arrival.
            done = max(at, free_at[0]) + draw()
            heapq.heapreplace(free_at, done)
            return done

        return arrive


@dataclass(frozen=True, slots=True)
class Workers(_Queue):
    """Calls of one kind; `service_time` is their mean in s."""

    kind: ClassVar[str] = "workers"
    workers: int
    service_time: float
    cv: float = 0.0
    seed: int = 1

    def _durations(self) -> Draw:
        return duration(self.service_time, self.cv, self.seed)


@dataclass(frozen=True, slots=True)
class Mixed(_Queue):
    """Two kinds of calls in one queue: fast ones and some slow ones.

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

    @property
    def service_time(self) -> float:  # type: ignore[override]
        """Mean over both kinds (s)."""
        return (1 - self.slow_share) * self.fast + self.slow_share * self.slow

    def _durations(self) -> Draw:
        slow = duration(self.slow, self.cv, self.seed)
        fast = duration(self.fast, self.cv, self.seed + 1)
        return either(slow, self.slow_share, fast, self.seed)


@dataclass(frozen=True, slots=True)
class CpuBound(Model):
    """Calls wait `delay` s side by side, then each burns `cpu` s on the server's only thread.

    `cv` is that of the delay; the burnt time is constant. It includes the server's own work for the
    call, so the plateau is 1 / cpu.
    """

    kind: ClassVar[str] = "cpu"
    delay: float
    cpu: float
    cv: float = 0.0
    seed: int = 1

    @property
    def plateau(self) -> float:
        """Calls/s with the thread always busy: 1 / cpu."""
        return 1 / self.cpu

    def throughput(self, callers: int) -> float:
        """min(n / (delay + cpu), 1 / cpu): the two asymptotes; the curve runs below them."""
        return min(callers / (self.delay + self.cpu), self.plateau)

    def start(self) -> Arrive:
        """The delay in front of the thread; the server itself burns (see `Burner`)."""
        draw = duration(self.delay, self.cv, self.seed)
        return lambda at: at + draw()


class Burner:
    """The one thread of a `CpuBound` upstream: the virtual moment until which it is busy."""

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
class Contended(Model):
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

    def start(self) -> Arrive:
        """Nothing in service."""
        draw = duration(self.base, self.cv, self.seed)
        done_at: list[float] = []

        def arrive(at: float) -> float:
            while done_at and done_at[0] <= at:
                heapq.heappop(done_at)
            done = at + draw() * self.slowdown(len(done_at) + 1)
            heapq.heappush(done_at, done)
            return done

        return arrive


_KINDS: dict[str, type[Model]] = {
    model.kind: model for model in (Workers, Mixed, CpuBound, Contended)
}


def to_dict(model: Model) -> dict[str, Any]:
    """The model as plain data; `from_dict` reads it back."""
    return {"kind": model.kind, **asdict(model)}


def from_dict(data: dict[str, Any]) -> Model:
    """The model that `to_dict` wrote; raises `BadInput` on an unknown kind or field."""
    fields = dict(data)
    kind = fields.pop("kind", None)
    if kind not in _KINDS:
        raise BadInput(f"kind must be one of {', '.join(sorted(_KINDS))}, got {kind!r}")
    try:
        return _KINDS[kind](**fields)
    except TypeError as error:
        raise BadInput(f"not a {kind} model: {error}") from error


def duration(mean: float, cv: float, seed: int) -> Draw:
    """A source of durations (s) of this mean and coefficient of variation (deviation / mean).

    cv = 0 is constant, else lognormal with s2 = ln(1 + cv^2) and mu = ln(mean) - s2 / 2 (the
    moments of the lognormal distribution solved for its parameters).
    """
    if cv == 0 or mean == 0:
        return lambda: mean
    variance = math.log1p(cv * cv)
    mu, sigma = math.log(mean) - variance / 2, math.sqrt(variance)
    draw = Random(seed).lognormvariate
    return lambda: draw(mu, sigma)


def either(slow: Draw, slow_share: float, fast: Draw, seed: int) -> Draw:
    """Durations of two kinds: a share `slow_share` (0 to 1) of them from `slow`, independently."""
    # A stream of its own: seeded like the durations, it would pick the long ones.
    draw = Random(f"either-{seed}").random
    return lambda: slow() if draw() < slow_share else fast()
