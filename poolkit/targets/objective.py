"""What is asked of a target: the load, the times allowed, and the room that its pools have."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from poolkit import units
from poolkit.targets.together import DEFAULT_SIZES, budget_of, locking_floor, losses


class Objective(BaseModel):
    """The keys of a target that say what is wanted, and what they mean for one of its pools.

    It is what targets.toml is read into (a `Target` is an objective with an endpoint), what a
    sizing and a what-if are asked for, and what manifest.json says was asked.

    Args:
        target_rate: calls/s that the whole service must sustain today, more than 0.
        rate_from: where target_rate was read from, in words; None: it stands in the file. No key.
        growth: the target rate is multiplied by this for sizing, more than 0 (in targets.toml 1 or
            more).
        wait_p99: s, longest acceptable p99 wait for a connection, more than 0; None: not asked.
        response_p99: s, longest acceptable p99 response time, more than 0; None: not asked. With
            neither, what is asked is that callers are served as soon as a pool of any size can.
        headroom: share of connections on top of those needed, 0 or more; named wherever it is part
            of a size.
        max_size: most connections ever opened, all pools together.
        max_connections: connections that the server accepts from anybody; None: not known.
        reserved_connections: of these, those that the server keeps for its own, 0 or more.
        used_connections: of these, those that others use, 0 or more.
        replicas, workers: `replicas * workers` processes share the upstream, each with a pool.
        surge: replicas that run besides while a deploy rolls, 0 or more: their pools need room
            among max_connections too.
        lost_replicas: replicas that may be down while the rest carries the load, fewer than
            replicas; left out it is one where there are several.
        zones: the replicas are spread evenly over so many zones and one may be down, 2 or more.
        tasks: tasks of one process that run at a time; with `connections_per_task`.
        connections_per_task: connections that one of them holds at a time, 1 or more.
        push: whether load may go beyond the target rate with its growth, to see where the plateau
            is; False for systems that are in use.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    # Share of the calls that may take longer than a p99 asked.
    allowance: ClassVar[float] = 0.01

    target_rate: float = Field(gt=0)
    rate_from: str | None = None
    growth: float = Field(1.0, gt=0)
    wait_p99: float | None = Field(None, gt=0)
    response_p99: float | None = Field(None, gt=0)
    headroom: float = Field(0.0, ge=0)
    max_size: int = Field(DEFAULT_SIZES["max_size"], ge=1)
    max_connections: int | None = Field(None, ge=1)
    reserved_connections: int = Field(0, ge=0)
    used_connections: int = Field(0, ge=0)
    replicas: int = Field(DEFAULT_SIZES["replicas"], ge=1)
    workers: int = Field(DEFAULT_SIZES["workers"], ge=1)
    surge: int = Field(DEFAULT_SIZES["surge"], ge=0)
    lost_replicas: int | None = Field(None, ge=0)
    zones: int | None = Field(None, ge=2)
    tasks: int = Field(1, ge=1)
    connections_per_task: int = Field(1, ge=1)
    push: bool = True

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Defaults that hang on other keys."""
        if not isinstance(given, dict):
            return given
        filled = dict(given)
        budget = budget_of(given)
        if budget is not None and budget >= 1:
            filled.setdefault("max_size", min(DEFAULT_SIZES["max_size"], budget))
        return filled

    @model_validator(mode="after")
    def _check_asked(self) -> Self:
        given = {key: getattr(self, key) for key in self.model_fields_set}
        mistakes = list(losses(given, self.replicas))
        if mistakes:
            raise ValueError("\n".join(f"{key}: {rule}" for key, rule in mistakes))
        return self

    @property
    def asks_as_soon(self) -> bool:
        """Whether no limit is asked of the times: then the response time itself decides."""
        return self.wait_p99 is None and self.response_p99 is None

    @property
    def pools(self) -> int:
        """Pools that share the upstream when every replica is up."""
        return self.replicas * self.workers

    @property
    def pools_rolling(self) -> int:
        """Pools while a deploy rolls, when old and new replicas run side by side."""
        return (self.replicas + self.surge) * self.workers

    @property
    def lost(self) -> int:
        """Replicas that may be lost at a time."""
        if self.zones is not None:
            return lost_with_zone(self.replicas, self.zones)
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
    def floor(self) -> int:
        """Smallest size of one pool, whatever the load: no task locks the others out."""
        return locking_floor(self.tasks, self.connections_per_task)

    @property
    def budget(self) -> int | None:
        """Connections that the server has left for all pools together; None: not known."""
        if self.max_connections is None:
            return None
        return self.max_connections - self.reserved_connections - self.used_connections

    @property
    def cap(self) -> int:
        """Most connections of all pools together, while no deploy rolls: max_size, or what the
        server's budget leaves if that is less."""
        if self.budget is None:
            return self.max_size
        budget = max(0, self.budget)
        if self.surge:
            budget = budget // self.pools_rolling * self.pools
        return min(self.max_size, budget)

    @property
    def cap_in_words(self) -> str:
        """Where `cap` comes from, as the subject of a sentence: `max_size = 64`."""
        if self.budget is None or (self.budget > self.max_size and self.cap == self.max_size):
            return f"max_size = {self.max_size}"
        taken = [f"{self.max_connections} max_connections"]
        if self.reserved_connections:
            taken.append(f"{self.reserved_connections} reserved")
        if self.used_connections:
            taken.append(f"{self.used_connections} used by others")
        left = max(0, self.budget)
        words = f"the server's budget of {units.plural(left, 'connection')} ({' - '.join(taken)})"
        if self.surge:
            words += f", shared by {self.pools_rolling} pools while a deploy rolls,"
        return words

    @property
    def largest(self) -> int:
        """Most connections of one pool while all of them keep to the cap; 0: not one each."""
        return self.cap // self.pools

    def but(self, **changes: Any) -> Self:
        """The same with these keys changed, taken as they are."""
        return self.model_copy(update=changes)

    def losing(self, lost: int) -> Self:
        """The same with so many replicas lost (fewer than there are), whatever the zones."""
        return self.but(lost_replicas=lost, zones=None)

    def asked_settings(self) -> dict[str, Any]:
        """What manifest.json says of it: the main keys always, the others where they are set."""
        settings = {key: getattr(self, key) for key in _ALWAYS}
        for key, field in Objective.model_fields.items():
            if key not in _ALWAYS and getattr(self, key) != field.default:
                settings[key] = getattr(self, key)
        return settings


_ALWAYS = ("target_rate", "wait_p99", "response_p99", "max_size", "replicas", "workers")


def lost_with_zone(replicas: int, zones: int) -> int:
    """Replicas that go down with the fullest of `zones` zones that they are spread over evenly."""
    return math.ceil(replicas / zones)
