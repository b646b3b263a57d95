"""What is asked of the pools, and what that means for one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from poolkit.targets import Target


@dataclass(frozen=True, slots=True)
class Objective:
    """The load to carry and the waits allowed; `replicas * workers` pools share the upstream.

    Attributes:
        target_rate: calls/s of the whole service today, more than 0.
        wait_p99: s, longest wait for a connection that is still good, more than 0.
        response_p99: s, longest good response time; None: not asked.
        growth: the target rate is multiplied by this, 1 for none.
        max_size: most connections of all pools together.
        replicas, workers: pools = replicas * workers; one replica may be lost.
        allowance: share of the calls that may wait longer than wait_p99 (0 to 1, 0.01 for a p99).
        floor: smallest size of one pool, whatever the load: T * (m - 1) + 1 where T tasks hold m
            connections each, so that one of them can always go on.
    """

    target_rate: float
    wait_p99: float
    response_p99: float | None = None
    growth: float = 1.0
    max_size: int = 64
    replicas: int = 1
    workers: int = 1
    allowance: float = 0.01
    floor: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("target_rate", "wait_p99", "growth"):
            _above_zero(name, getattr(self, name))
        if self.response_p99 is not None:
            _above_zero("response_p99", self.response_p99)
        for name in ("max_size", "replicas", "workers", "floor"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 < self.allowance < 1:
            raise ValueError(f"allowance must be between 0 and 1, got {self.allowance}")

    @classmethod
    def of_target(cls, target: Target, *, growth: float = 1.0) -> Objective:
        """What targets.toml asks of this target."""
        return cls(
            target_rate=target.target_rate,
            wait_p99=target.wait_p99,
            response_p99=target.response_p99,
            growth=growth,
            max_size=target.max_size,
            replicas=target.replicas,
            workers=target.workers,
        )

    @property
    def pools(self) -> int:
        """Pools that share the upstream when every replica is up."""
        return self.replicas * self.workers

    @property
    def pools_left(self) -> int:
        """Pools that must carry the whole rate: those left when one replica is lost."""
        return self.pools - self.workers if self.replicas > 1 else self.pools

    @property
    def rate(self) -> float:
        """Calls/s of the whole service that the size must carry, growth included."""
        return self.target_rate * self.growth

    @property
    def rate_per_pool(self) -> float:
        """Calls/s that one pool must carry when a replica is lost."""
        return self.rate / self.pools_left

    @property
    def largest(self) -> int:
        """Most connections of one pool while all of them keep to max_size; 0: not one each."""
        return self.max_size // self.pools


def _above_zero(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be more than 0, got {value}")
