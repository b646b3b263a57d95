"""The code of the gate, which several drivers' pools stand behind."""

from __future__ import annotations

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
