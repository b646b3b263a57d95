"""The code of the gate: HTTP pools stand behind it, database pools where targets.toml asks so."""

from __future__ import annotations

from poolkit.records import Recommendation
from poolkit.review.codegen.source import by_name, comment, docstring, literal
from poolkit.targets import DATABASE_DRIVERS

SUPPORT = '''\
class GateTimeout(TimeoutError):
    """No place became free in time: shed the request, with a 503 say; do not retry it here."""


class Gate:
    """Lets `size` callers through at a time, first come first served.

    Whoever has waited for `timeout` seconds gets a GateTimeout. Read `waiting` as a gauge.
    """

    def __init__(self, size: int, timeout: float) -> None:
        self._semaphore = asyncio.Semaphore(size)
        self._timeout = timeout
        self.waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one place while the block runs."""
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._semaphore.acquire()
        except TimeoutError:
            raise GateTimeout(f"no free place within {self._timeout:g} s") from None
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._semaphore.release()'''

# For database pools, whose own types stay as they are.
PAIR = '''\
P = TypeVar("P")


@dataclass(frozen=True)
class Gated(Generic[P]):
    """A pool and the gate before it.

    `async with pools.NAME.gate.slot(), pools.NAME.pool.acquire() as connection: ...`
    """

    pool: P
    gate: Gate'''


def is_gated(recommendation: Recommendation) -> bool:
    """Whether the pool of a database target stands behind a gate."""
    return recommendation.driver in DATABASE_DRIVERS and any(
        parameter.name == "gate" for parameter in recommendation.parameters
    )


def render(name: str, recommendation: Recommendation, pool_type: str) -> list[str]:
    """The function `NAME_gated`, around the `NAME_pool` of a database driver."""
    p = by_name(recommendation.parameters)
    return [
        "",
        "",
        "@asynccontextmanager",
        f"async def {name}_gated() -> AsyncIterator[Gated[{pool_type}]]:",
        *docstring("The pool and the gate before it; closed when the block ends.", 1),
        f"    async with {name}_pool() as pool:",
        *comment(p["gate"].because, 2),
        *comment(p["gate_timeout"].because, 2),
        f"        gate = Gate({literal(p['gate'].value)}, "
        f"timeout={literal(p['gate_timeout'].value)})",
        "        yield Gated(pool, gate)",
    ]
