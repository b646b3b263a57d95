"""What is asked of a target: the load, the times allowed, and the room that its pools have."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from poolkit.targets.together import DEFAULT_SIZES, budget_of

DEFAULT_WAIT = 0.010  # s


class Asked(BaseModel):
    """The keys of a target that say what is wanted; the others say how it is called.

    Args:
        target_rate: calls/s that the whole service must sustain, more than 0.
        rate_from: where target_rate was read from, in words; None: it stands in the file. No key.
        growth: the target rate is multiplied by this for sizing, 1 or more.
        wait_p99: s, longest acceptable p99 wait for a connection, more than 0; left out it is
            0.010, or not asked where response_p99 is given.
        response_p99: s, longest acceptable p99 response time, more than 0; None: not asked.
        headroom: share of connections on top of those needed, 0 or more.
        max_size: most connections ever opened, all pools together; at least one a pool.
        max_connections: connections that the server accepts in all; None: not known.
        reserved_connections: of these, those that the server keeps for its own, 0 or more.
        used_connections: of these, those that others use, 0 or more.
        replicas, workers: `replicas * workers` processes share the upstream, each with a pool.
        lost_replicas: replicas that may be down while the rest carries the load, fewer than
            replicas; left out it is one where there are several.
        zones: the replicas are spread evenly over so many zones and one may be down, 2 or more.
        tasks: tasks of one process that run at a time; with `connections_per_task`.
        connections_per_task: connections that one of them holds at a time, 1 or more.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    target_rate: float = Field(gt=0)
    rate_from: str | None = None
    growth: float = Field(1.0, ge=1)
    wait_p99: float | None = Field(None, gt=0)
    response_p99: float | None = Field(None, gt=0)
    headroom: float = Field(0.0, ge=0)
    max_size: int = Field(DEFAULT_SIZES["max_size"], ge=1)
    max_connections: int | None = Field(None, ge=1)
    reserved_connections: int = Field(0, ge=0)
    used_connections: int = Field(0, ge=0)
    replicas: int = Field(DEFAULT_SIZES["replicas"], ge=1)
    workers: int = Field(DEFAULT_SIZES["workers"], ge=1)
    lost_replicas: int | None = Field(None, ge=0)
    zones: int | None = Field(None, ge=2)
    tasks: int = Field(1, ge=1)
    connections_per_task: int = Field(1, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Defaults that hang on other keys."""
        if not isinstance(given, dict):
            return given
        filled = dict(given)
        if given.get("response_p99") is None:
            filled.setdefault("wait_p99", DEFAULT_WAIT)
        budget = budget_of(given)
        if budget is not None and budget >= 1:
            filled.setdefault("max_size", min(DEFAULT_SIZES["max_size"], budget))
        return filled

    @property
    def pools(self) -> int:
        """How many pools share the upstream."""
        return self.replicas * self.workers

    def asked_settings(self) -> dict[str, Any]:
        """What manifest.json says of it: the main keys always, the others where they are set."""
        settings = {key: getattr(self, key) for key in _ALWAYS}
        for key, field in Asked.model_fields.items():
            if key not in _ALWAYS and getattr(self, key) != field.default:
                settings[key] = getattr(self, key)
        return settings


_ALWAYS = ("target_rate", "wait_p99", "response_p99", "max_size", "replicas", "workers")
