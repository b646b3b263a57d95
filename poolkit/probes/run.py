"""All probes of one target, one after the other, within its limits, and what follows from them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
import time
from collections.abc import Coroutine, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, TypeVar, get_args

from poolkit.drivers.parameters import probed
from poolkit.drivers.parameters.findings import IdleLimit, Session
from poolkit.errors import BadInput, BrakeStop, PoolkitError, Unreachable
from poolkit.measure.preflight import check_descriptors, check_first_call, check_room
from poolkit.probes.costs import measure_costs
from poolkit.probes.idle import IdleSearch
from poolkit.probes.line import ANSWER, Dial, NoLine, OnStep, quiet
from poolkit.probes.names import probe_names
from poolkit.probes.proof import prove
from poolkit.probes.reading import doubts, not_kept
from poolkit.probes.records import Doubt, Probe
from poolkit.probes.settings import wire_of
from poolkit.probes.stale import count_stale
from poolkit.targets import Target

T = TypeVar("T")
Part = Literal["idle", "costs", "stale", "dns"]
PARTS: tuple[Part, ...] = get_args(Part)
CAP = 75.0  # s; nginx's default, and beyond what most balancers bear less
SMALLEST_CAP, LARGEST_CAP = 1.0, 3600.0
# A slow endpoint gets this many times its first call before its answer counts as missing.
_PATIENCE = 10.0
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass
class ProbeRun:
    """One target's probes. State: what was found so far, kept whatever ends it.

    Args:
        cap: s that an idle connection is watched at most, 1 to 3600.
        only: the parts to do, in the order of `PARTS`.
        size: the pool size at which lost throughput is measured; None: a rule of thumb.
        in_transaction: whether sessions that idle in a transaction are probed as well.
    """

    target: Target
    _: KW_ONLY
    cap: float = CAP
    only: Sequence[Part] = PARTS
    size: int | None = None
    in_transaction: bool = False
    on_step: OnStep = quiet
    probe: Probe = field(init=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.cap) and SMALLEST_CAP <= self.cap <= LARGEST_CAP):
            raise BadInput(
                f"cap must be from {SMALLEST_CAP:g} to {LARGEST_CAP:g} s, got {self.cap:g}",
                "leave it out for 75 s",
            )
        self._stop = asyncio.Event()
        self._first_call = 0.0
        self._began = time.monotonic()
        self.probe = Probe(
            target=self.target.name,
            driver=self.target.driver,
            endpoint=self.target.endpoint,
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        )

    @property
    def deadline(self) -> float:
        """Seconds after which everything must be over, whatever the target does."""
        searches = 1 + int(self.in_transaction) + 1
        return 180.0 + searches * (1.3 * self.cap + 20.0) + 1.2 * self.cap

    def stop(self) -> None:
        """End soon; what was found is kept. Call it in the loop."""
        self._stop.set()

    async def run(self) -> Probe:
        """Every part in turn.

        Raises:
            Unreachable: the first call failed; nothing else was sent.
            MissingExtra: a library is not installed.
        """
        check_descriptors(self.target)
        self.on_step("one call to see whether it answers", 0.0)
        first = await self._until_stopped(check_first_call(self.target))
        if first is not None:
            check_room(self.target, first)
            self._first_call = first.seconds
        try:
            for part in PARTS:
                if part in self.only and not self._stop.is_set():
                    await self._part(part)
        except NoLine as error:
            self._stopped(f"the target takes no connection: {error.why}")
        except (BrakeStop, Unreachable) as error:
            self._stopped(error.cause, error.remedy)
        if self._stop.is_set():
            self._found(status="cancelled")
        self._conclude()
        return self.probe

    async def run_to_deadline(self) -> Probe:
        """As `run`; what was found until the deadline is kept, and the probe is `stopped`."""
        limit = asyncio.timeout(self.deadline)
        try:
            async with limit:
                return await self.run()
        except TimeoutError:
            if not limit.expired():
                raise
        self._stopped(f"not done after {self.deadline:.0f} s", "try a smaller --cap")
        self._conclude()
        return self.probe

    async def _part(self, part: Part) -> None:
        target, on_step = self.target, self.on_step
        match part:
            case "idle":
                await self._idle(await wire_of(target).dialer(target))
            case "costs":
                dial = await wire_of(target).dialer(target)
                size = self.size or self._likely_size()
                await self._find("costs", measure_costs(target, dial, size, on_step))
            case "stale":
                await self._find("stale", count_stale(target, on_step))
            case "dns":
                await self._find("names", probe_names(target, on_step))

    async def _idle(self, dial: Dial) -> None:
        if self.target.kind == "http":
            await self._count_uses(dial)
            if self.probe.uses is not None and self.probe.uses.requests == 1:
                self._found(idle=(not_kept(self.cap),))
                return
        if self._stop.is_set():
            return
        limit = await self._search(dial)
        if limit.is_steady and not self._stop.is_set():
            await self._find("proof", prove(self.target, limit, self.on_step))
        if self.target.kind == "postgres":
            await self._more_sessions()

    async def _count_uses(self, dial: Dial) -> None:
        from poolkit.probes.http import find_use_limit

        target = self.target
        if target.method not in _SAFE_METHODS:
            self._skip("uses", f"a {target.method} may write, so it is not sent 1100 times")
            return
        rate = target.target_rate
        uses = await find_use_limit(dial, rate=rate, on_step=self.on_step, stop=self._stop)
        self._found(uses=uses)

    async def _search(self, dial: Dial, session: Session = "idle") -> IdleLimit:
        patience, uses = ANSWER, None
        if session == "idle":
            patience = max(ANSWER, min(_PATIENCE, _PATIENCE * self._first_call))
            uses = self.probe.uses
        search = IdleSearch(
            dial,
            cap=self.cap,
            connections=self.target.max_size,
            session=session,
            answer=patience,
            uses=None if uses is None else uses.requests,
        )
        limit, age = await search.run(self.on_step, self._stop)
        self._found(idle=(*self.probe.idle, limit))
        if session == "idle":
            self._found(age=age)
        return limit

    async def _more_sessions(self) -> None:
        """Idle in a transaction where asked, and the pooler's own sessions where there is one."""
        from poolkit.probes.postgres import PostgresDialer, find_pooler_limit

        dsn = self.target.resolved_dsn()
        if self.in_transaction and not self._stop.is_set():
            await self._search(PostgresDialer(dsn, in_transaction=True), "in_transaction")
        dial = PostgresDialer(dsn)
        await dial.look()
        if dial.is_pooled and not self._stop.is_set():
            behind = await find_pooler_limit(
                dial, cap=self.cap, on_step=self.on_step, stop=self._stop
            )
            if behind is None:
                self._skip("behind_pooler", "the pooler has no second session to watch")
            else:
                self._found(idle=(*self.probe.idle, behind))

    def _likely_size(self) -> int:
        """Connections by the rule of thumb, until a review has measured: rate * hold * 1.3."""
        wanted = math.ceil(1.3 * self.target.target_rate * self._first_call)
        return max(1, min(wanted, self.target.max_size, 16))

    def _conclude(self) -> None:
        probe = self.probe
        found = doubts(probe.driver, probe.idle, probe.uses, probe.age, probe.proof)
        self._found(
            parameters=probed(probe.driver, probe.findings(self.target.target_rate)),
            doubts=(*probe.doubts, *found),
            seconds=time.monotonic() - self._began,
        )

    async def _until_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`; None when it was asked to stop meanwhile."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return None
            return task.result()
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, PoolkitError, NoLine):
                    await task

    async def _find(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        """Do the work; a text in place of a finding says why there is none."""
        result = await self._until_stopped(work)
        if isinstance(result, str):
            self._skip(name, result)
        elif result is not None:
            self._found(**{name: result})

    def _found(self, **fields: Any) -> None:
        self.probe = self.probe.model_copy(update=fields)

    def _skip(self, name: str, why: str) -> None:
        self._found(skipped={**self.probe.skipped, name: why})

    def _stopped(self, cause: str, remedy: str = "") -> None:
        doubt = Doubt(
            seen=cause, next=remedy or "see whether the server still runs; then run it again"
        )
        self._found(status="stopped", doubts=(*self.probe.doubts, doubt))
