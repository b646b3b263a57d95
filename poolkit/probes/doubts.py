"""What a probe found that no parameter cures, each with what to do; pure."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.drivers.parameters.keep import is_keepable
from poolkit.drivers.table import DRIVERS
from poolkit.probes.records import AgeLimit, Doubt, IdleLimit, Proof, UseLimit

# Drivers whose pool replaces a connection at an age, used or not.
LIFETIMES = [driver for driver, row in DRIVERS.items() if row.has_lifetime]


def doubts(
    driver: str,
    limits: Sequence[IdleLimit],
    uses: UseLimit | None,
    age: AgeLimit | None,
    proof: Proof | None,
) -> tuple[Doubt, ...]:
    """What a reader has to act on beyond setting the parameters."""
    found = []
    for limit in limits:
        if limit.kind == "random":
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="no keep-alive value is safe: repeat calls that may be repeated "
                    "(poolkit.retry), or find out who closes the connections",
                )
            )
        if limit.kind == "not_kept":
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="turn keep-alive on at the server (nginx: keepalive_timeout), or every "
                    "call pays for a dial",
                )
            )
        if limit.kind == "silent":
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="something in between forgets connections: keep the value below, set a "
                    "read timeout, and TCP keep-alives shorter than that",
                )
            )
        if limit.session == "in_transaction" and limit.timeout is not None:
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="keep every transaction shorter; wait for nothing else while one is open",
                )
            )
        if limit.session == "behind_pooler" and limit.timeout is not None:
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="the first calls after a quiet time wait for the pooler's dials: set its "
                    "server_idle_timeout (or min_pool_size) higher where that hurts",
                )
            )
        if limit.earliest is not None and not is_keepable(limit.earliest):
            found.append(
                Doubt(
                    seen=limit.seen,
                    next="no keep-alive value is short enough to be safe: raise the server's "
                    "timeout, or find out what closes its connections",
                )
            )
    if age is not None and age.seconds is not None and driver not in LIFETIMES:
        found.append(
            Doubt(
                seen=age.seen,
                next=f"{driver} has no setting for a connection's age: repeat calls that may be "
                "repeated (poolkit.retry), or raise the age at the server or what is in between",
            )
        )
    if uses is not None and uses.requests is not None:
        found.append(
            Doubt(
                seen=uses.seen,
                next=f"at 1000 calls/s that is {units.number(1000 / max(1, uses.requests))} dials/s"
                "; raise the server's limit (nginx: keepalive_requests) where dials cost",
            )
        )
    if proof is not None and not proof.holds:
        found.append(Doubt(seen=proof.seen, next="run the probe again when the target is quiet"))
    return tuple(found)
