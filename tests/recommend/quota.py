"""An HTTP server on this machine that answers 429 above a rate, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

from aiohttp import web


class Quota:
    """Serves every call in `hold` s, at most `rate` of them a second; the others get a 429.

    A token bucket that holds an eighth of a second's worth, as rate limits commonly are.
    """

    def __init__(self, rate: float, hold: float) -> None:
        self.rate, self.hold = rate, hold
        self.served = 0
        self.refused = 0
        self.url = ""
        self._tokens = self._depth = rate / 8
        self._filled = 0.0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10.0), "the server did not start"
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _start(self) -> web.AppRunner:
        application = web.Application()
        application.router.add_get("/", self._serve)
        runner = web.AppRunner(application, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        self._filled = self._loop.time()
        return runner

    async def _serve(self, _request: web.Request) -> web.Response:
        now = self._loop.time()
        self._tokens = min(self._depth, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens < 1.0:
            self.refused += 1
            return web.Response(status=429)
        self._tokens -= 1.0
        await asyncio.sleep(self.hold)
        self.served += 1
        return web.Response(text="ok")
