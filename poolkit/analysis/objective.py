"""What is asked of the pools, and what that means for one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from poolkit import units
from poolkit.targets.asked import Asked
from poolkit.targets.together import locking_floor


@dataclass(frozen=True, slots=True)
class Objective:
    """The load to carry and the times allowed; `replicas * workers` pools share the upstream.

    Attributes:
        target_rate: calls/s of the whole service today, more than 0.
        wait_p99: s, longest wait for a connection that is still good, more than 0; None: only the
            response time counts.
        response_p99: s, longest good response time; None: only the wait counts. One of both is
            asked.
        growth: the target rate is multiplied by this, 1 for none.
        headroom: share of connections on top of what is needed, 0 for none; named wherever it is
            part of a size.
        max_size: most connections of all pools together.
        max_connections: connections that the server accepts from anybody; None: not known.
        reserved_connections, used_connections: of these, those kept for others and in use by them.
        replicas, workers: pools = replicas * workers.
        lost_replicas: so many replicas may be lost at a time, fewer than there are; None: one where
            there are several.
        allowance: share of the calls that may take longer than asked (0 to 1, 0.01 for a p99).
        floor: smallest size of one pool, whatever the load: T * (m - 1) + 1 where T tasks hold
            m connections each, so that one of them can always go on.
    """

    target_rate: float
    wait_p99: float | None = None
    response_p99: float | None = None
    growth: float = 1.0
    max_size: int = 64
    replicas: int = 1
    workers: int = 1
    allowance: float = 0.01
    floor: int = 1
    headroom: float = 0.0
    lost_replicas: int | None = None
    max_connections: int | None = None
    reserved_connections: int = 0
    used_connections: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("target_rate", "wait_p99", "response_p99", "growth"):
            _above_zero(name, getattr(self, name))
        if self.wait_p99 is None and self.response_p99 is None:
            raise ValueError("one of wait_p99 and response_p99 must be given")
        if not (math.isfinite(self.headroom) and self.headroom >= 0):
            raise ValueError(f"headroom must be 0 or more, got {self.headroom}")
        for name in ("max_size", "replicas", "workers", "floor", "max_connections"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise ValueError(f"{name} must be 1 or more, got {given}")
        for name in ("reserved_connections", "used_connections"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 < self.allowance < 1:
            raise ValueError(f"allowance must be between 0 and 1, got {self.allowance}")
        if not 0 <= self.lost < self.replicas:
            raise ValueError(
                f"lost_replicas must be 0 or more and less than replicas = {self.replicas}, "
                f"got {self.lost_replicas}"
            )

    @classmethod
    def of_target(cls, target: Asked) -> Objective:
        """What targets.toml asks of this target."""
        return cls(
            target_rate=target.target_rate,
            wait_p99=target.wait_p99,
            response_p99=target.response_p99,
            growth=target.growth,
            headroom=target.headroom,
            max_size=target.max_size,
            max_connections=target.max_connections,
            reserved_connections=target.reserved_connections,
            used_connections=target.used_connections,
            replicas=target.replicas,
            workers=target.workers,
            lost_replicas=target.lost_replicas
            if target.zones is None
            else lost_with_zone(target.replicas, target.zones),
            floor=locking_floor(target.tasks, target.connections_per_task),
        )

    @property
    def pools(self) -> int:
        """Pools that share the upstream when every replica is up."""
        return self.replicas * self.workers

    @property
    def lost(self) -> int:
        """Replicas that may be lost at a time."""
        return int(self.replicas > 1) if self.lost_replicas is None else self.lost_replicas

    @property
    def pools_left(self) -> int:
        """Pools that must carry the whole rate: those left when replicas are lost."""
        return self.pools - self.lost * self.workers

    @property
    def rate(self) -> float:
        """Calls/s of the whole service that the size must carry, growth included."""
        return self.target_rate * self.growth

    @property
    def rate_per_pool(self) -> float:
        """Calls/s that one pool must carry when replicas are lost."""
        return self.rate / self.pools_left

    @property
    def budget(self) -> int | None:
        """Connections that the server has left for all pools together; None: not known."""
        if self.max_connections is None:
            return None
        return self.max_connections - self.reserved_connections - self.used_connections

    @property
    def cap(self) -> int:
        """Most connections of all pools together: max_size, or the server's budget if smaller."""
        return self.max_size if self.budget is None else max(0, min(self.max_size, self.budget))

    @property
    def cap_in_words(self) -> str:
        """Where `cap` comes from, as the subject of a sentence: `max_size = 64`."""
        if self.budget is None or self.budget > self.max_size:
            return f"max_size = {self.max_size}"
        taken = [f"{self.max_connections} max_connections"]
        if self.reserved_connections:
            taken.append(f"{self.reserved_connections} reserved")
        if self.used_connections:
            taken.append(f"{self.used_connections} used by others")
        return (
            f"the server's budget of {units.plural(self.cap, 'connection')} ({' - '.join(taken)})"
        )

    @property
    def largest(self) -> int:
        """Most connections of one pool while all of them keep to the cap; 0: not one each."""
        return self.cap // self.pools


def lost_with_zone(replicas: int, zones: int) -> int:
    """Replicas that go down with the fullest of `zones` zones that they are spread over evenly."""
    return math.ceil(replicas / zones)


def _above_zero(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be more than 0, got {value}")
