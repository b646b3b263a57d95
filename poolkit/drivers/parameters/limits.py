"""The rules that several drivers' parameters share: limits of time, connections kept, the gate.

All limits follow one thought: a time limit is there to end a fault, not to shape traffic. So each
is an order of magnitude above what was measured or asked for, and has a floor that outlasts a short
pause.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from poolkit import units
from poolkit.drivers.parameters.basis import (
    Basis,
    dials_while_verified,
    hold_p99,
    longest_wait,
    reason_of_size,
    row,
    turn,
)
from poolkit.drivers.parameters.findings import Findings
from poolkit.drivers.parameters.keep import Keep, below, is_keepable, measured
from poolkit.drivers.parameters.pooler import needs_of_sessions
from poolkit.records import Parameter

PATIENCE = 10  # times what is normal; beyond it something is broken
FLOOR = 1.0  # s; garbage collection, a checkpoint or a fail-over pauses a server for less
# A lost SYN is sent again after 1 s and 3 s (RFC 6298: 1 s, doubled): 5 s outlasts two losses.
DIAL_TIMEOUT = 5.0  # s
SERVER_FIRST = 1.0  # s that the server's own limit ends before the client's


@dataclass(frozen=True, slots=True)
class Limit:
    """A time limit (s), its reason, and whether a measured figure decided it."""

    seconds: float
    because: str
    is_measured: bool

    def parameter(self, name: str) -> Parameter:
        """The row of the recommended table that carries this limit."""
        return row(
            name, self.seconds, "s", self.because, "measured" if self.is_measured else "rule"
        )


def of_size(basis: Basis, name: str) -> Parameter:
    """The limit on connections, which is the size that was measured."""
    because = reason_of_size(basis) + needs_of_sessions(basis)
    return row(name, basis.size, "connections", because, "measured")


def round_up(seconds: float) -> float:
    """Two significant figures, upwards: a limit never ends below what it was computed from."""
    if seconds <= 0:
        return 0.0
    exponent = math.floor(math.log10(seconds)) - 1
    # The slack keeps 1.2 at 1.2 although 1.2 / 0.1 is 11.999... or 12.000...1.
    steps = math.ceil(round(seconds / 10**exponent, 9))
    return float(round(steps * 10**exponent, 12))


def limited_wait(basis: Basis) -> Limit:
    """How long a caller may wait for a connection before it is told no.

    10 times the wait target, at least 1 s; no longer than 10 times the response target, where one
    is set, which also stands in where no wait is asked. Where nothing is asked of the times, 10
    times the p99 response seen (without a trial at the rate, the p99 hold), at least 1 s.
    """
    target = basis.target
    limits: list[tuple[float, str]] = []
    if target.wait_p99 is not None:
        asked = PATIENCE * target.wait_p99
        reason = f"{PATIENCE} times the p99 wait allowed ({units.milliseconds(target.wait_p99)})"
        if asked < FLOOR:
            reason += f", at least {FLOOR:g} s"
        limits.append((max(asked, FLOOR), reason))
    if target.response_p99 is not None:
        allowed = units.milliseconds(target.response_p99)
        reason = f"{PATIENCE} times the p99 response allowed ({allowed})"
        limits.append((PATIENCE * target.response_p99, reason))
    if not limits:
        limits.append(_usual_time(basis))
    seconds, reason = min(limits, key=lambda limit: limit[0])
    seen = ""
    longest = longest_wait(basis)
    if longest is not None:
        seen = f"; the longest wait seen at the target rate was {units.milliseconds(longest)}"
    because = f"{reason}: whoever waits longer meets a fault, not a queue{seen}"
    return Limit(round_up(seconds), because, is_measured=False)


def _usual_time(basis: Basis) -> tuple[float, str]:
    """What callers are used to wait in all, times `PATIENCE`, and the reason."""
    trial = basis.trial
    if basis.is_verified and trial is not None and trial.response_time.p99 is not None:
        p99, words = trial.response_time.p99, "response p99 at the target rate"
    else:
        held, words = hold_p99(basis)
        p99 = FLOOR / PATIENCE if held is None else held
    floor = f", at least {FLOOR:g} s" if PATIENCE * p99 < FLOOR else ""
    reason = f"no wait is asked; {words} was {units.milliseconds(p99)}; {PATIENCE} times that"
    return max(PATIENCE * p99, FLOOR), f"{reason}{floor}"


def limited_hold(basis: Basis) -> Limit:
    """How long a call may hold its connection: 10 times the p99 that was measured, at least 1 s."""
    p99, words = hold_p99(basis)
    if p99 is None:
        return Limit(30.0, "no hold time was measured: 30 s until one is known", is_measured=False)
    asked = PATIENCE * p99
    floor = f", at least {FLOOR:g} s" if asked < FLOOR else ""
    because = f"{words} was {units.milliseconds(p99)}; {PATIENCE} times that{floor}"
    return Limit(round_up(max(asked, FLOOR)), because, is_measured=True)


def limited_dial(basis: Basis) -> Limit:
    """How long a new connection may take: a rule, since faults and not dials decide it."""
    because = (
        f"a lost first packet is sent again after 1 s and 3 s, so a server that has not "
        f"accepted within {DIAL_TIMEOUT:g} s is down"
    )
    longest = None if basis.trial is None else basis.trial.dial_time.longest
    if longest:
        because += f"; the longest dial seen took {units.milliseconds(longest)}"
    return Limit(DIAL_TIMEOUT, because, is_measured=False)


def kept_alive(basis: Basis, keep: Keep, found: Findings, about_servers: str) -> Parameter:
    """How long a connection may idle (s), from what the server says of itself.

    Where it says nothing, the library's default, which is marked: it must stay below the server's
    own limit, and nobody knows that. `about_servers` says which servers close earlier.
    """
    if found.idle is not None:  # a probe looked, and no value is safe
        return row(keep.name, keep.default, "s", f"library default; {found.idle.seen}", "library")
    said = None if basis.trial is None else basis.trial.keep_alive
    if said is not None and is_keepable(said):
        because = f"the server's replies say Keep-Alive: timeout={said:g}"
        if below(said) >= keep.default:
            because = f"library default; {because}"
            return row(keep.name, keep.default, "s", because, "library")
        because += "; less than that, so that no call is on its way when it closes"
        return measured(keep.name, below(said), because)
    seen = ""
    if basis.trial is not None:
        disconnects = units.plural(basis.trial.disconnects, "disconnect")
        seen = f" ({disconnects} seen under load, where {turn(basis) or 'no connection idles'})"
    return row(
        keep.name,
        keep.default,
        "s",
        f"not known: run poolkit probe {basis.target.name}; library default until then, which "
        f"must stay below the server's idle timeout: {about_servers}{seen}",
        "library",
    )


def limited_read(basis: Basis) -> Limit:
    """How long the server may send nothing."""
    hold = limited_hold(basis)
    end = " without a byte" if hold.is_measured else ""
    return Limit(hold.seconds, f"{hold.because}{end}", hold.is_measured)


def limited_statement(basis: Basis) -> tuple[Limit, Limit]:
    """How long a statement may take, for the server and, a little longer, for the client."""
    hold = limited_hold(basis)
    statement = Limit(hold.seconds, f"{hold.because}; a statement is part of it", hold.is_measured)
    command = Limit(
        round_up(statement.seconds + SERVER_FIRST),
        f"{SERVER_FIRST:g} s above statement_timeout ({statement.seconds:g} s): the server gives "
        "up first, and the connection lives on",
        is_measured=hold.is_measured,
    )
    return statement, command


def min_size(basis: Basis) -> Parameter:
    """As many connections are kept as may be opened."""
    because = (
        "the same as max_size: a pool that shrinks when it is quiet makes the first callers of "
        "the next rush wait for dials" + dials_while_verified(basis)
    )
    return row(
        "min_size", basis.size, "connections", because, "measured" if basis.is_verified else "rule"
    )


def gate(basis: Basis, about_library: str) -> tuple[Parameter, Parameter]:
    """The semaphore and how long a caller waits there; `about_library`: what happens without it."""
    because = f"a semaphore of the pool's size, taken once: {about_library}"
    if basis.target.gate is False:
        because += "; measured without it, as targets.toml says (gate = false)"
    if basis.crowd is not None:
        because += f"; {basis.crowd}"
    source: Literal["measured", "rule"] = "rule" if basis.crowd is None else "measured"
    return (
        row("gate", basis.size, "callers", because, source),
        limited_wait(basis).parameter("gate_timeout"),
    )


def gate_of_database(basis: Basis, about_library: str) -> tuple[Parameter, ...]:
    """The same where targets.toml asks for a gate (gate = true): databases stand alone."""
    return gate(basis, about_library) if basis.target.gate else ()
