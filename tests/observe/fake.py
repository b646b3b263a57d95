"""A Prometheus of volumes and faults: it answers the queries of `observe` from given windows.

It knows the shape of the queries and no PromQL; tests/observe/test_real.py asks a real one.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from poolkit.analysis.windows import Windows
from poolkit.observe.preset import SECONDS, AveragesPreset, Quantity, load

Reply = tuple[int, bytes]


@dataclass
class Fake:
    """What is answered; `fault` may answer a query in its place, None: it does not."""

    windows: Windows
    pool: str = "orders-db"
    absent: bool = False  # whether points that are no numbers are left out
    jobs: tuple[dict[str, str], ...] = ({"job": "orders"},)
    fault: Callable[[str, dict[str, str]], Reply | None] = lambda _kind, _query: None
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path of everything
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, kind: str, query: dict[str, str]) -> Reply:
        """What Prometheus would answer."""
        if (fault := self.fault(kind, query)) is not None:
            return fault
        text = query["query"]
        result: list[Any]
        if kind == "query":
            span = re.search(r"\[(\d+)s\]", text)
            scrapes = str((int(span[1]) if span else 0) / self.windows.seconds * 4.0)
            result = [{"metric": labels, "value": [0, scrapes]} for labels in self._instant(text)]
            return 200, self._success("vector", result)
        start, end, step = (float(query[key].rstrip("s")) for key in ("start", "end", "step"))
        if (end - start) / step > 11_000:
            return 400, self.error("exceeded maximum resolution of 11,000 points per timeseries")
        result = []
        ends = self.windows.ends
        moments = np.arange(start, end + step / 2, step)
        # The nearest window, for the reader's range ends when it asks.
        rows = np.rint((moments - ends[0]) / self.windows.seconds).astype(int)
        inside = [(m, r) for m, r in zip(moments, rows, strict=True) if 0 <= r < ends.size]
        for labels, row in self._series(text):
            told = [(at, row[r]) for at, r in inside if not (self.absent and np.isnan(row[r]))]
            values = [[at, _text(value)] for at, value in told]
            if values:
                result.append({"metric": labels, "values": values})
        return 200, self._success("matrix", result)

    def error(self, text: str) -> bytes:
        """The body of a query that was refused."""
        return json.dumps({"status": "error", "errorType": "execution", "error": text}).encode()

    def _success(self, kind: str, result: list[Any]) -> bytes:
        return json.dumps(
            {"status": "success", "data": {"resultType": kind, "result": result}}
        ).encode()

    def _instant(self, text: str) -> Iterator[dict[str, str]]:
        named = re.search(r'pool="([^"]*)"', text)
        if text.startswith("count by (pool)"):
            yield {"pool": self.pool}
        elif named and named[1] == self.pool:
            job = re.search(r'job="([^"]*)"', text)
            yield from (one for one in self.jobs if not job or one.get("job") == job[1])

    def _series(self, text: str) -> Iterator[tuple[dict[str, str], Any]]:
        w = self.windows
        for name, table in (("state_seconds", w.held), ("state_releases", w.releases)):
            if f"pool_{name}" in text:
                for column, level in enumerate(w.levels):
                    yield {"in_use": str(level)}, table[:, column]
                return
        for name, times in (("wait", w.waits), ("hold", w.holds)):
            if f"{name}_seconds_bucket" in text:
                for column, bound in enumerate(times.bounds):
                    le = "+Inf" if np.isinf(bound) else str(bound)
                    yield {"le": le}, times.counts[:, column]
                return
            if f"{name}_seconds_sum" in text:
                yield {}, times.total if times.bounds else np.full(w.ends.size, np.nan)
                return
        if "asks" in text:
            yield {}, w.asks
        elif text.startswith("count("):
            yield {}, w.pools
        elif text.startswith("min("):
            yield {}, np.full(w.ends.size, w.least_size or np.nan)
        elif "peak" in text:
            yield {}, np.full(w.ends.size, float(w.peak or 0))
        else:
            yield {}, np.full(w.ends.size, w.most_size or np.nan)


@dataclass
class Averaging(Fake):
    """The same of a library that exports averages, by the names of one preset."""

    preset: str = "hikaricp"
    lacks: tuple[str, ...] = ()  # keys of the preset that are not exported

    def _quantities(self) -> dict[str, Quantity]:
        preset = load(self.preset)
        assert isinstance(preset, AveragesPreset)
        known = {key: getattr(preset.averages, key) for key in type(preset.averages).model_fields}
        return {k: one for k, one in known.items() if one is not None and k not in self.lacks}

    def _instant(self, text: str) -> Iterator[dict[str, str]]:
        if "__name__" in text:
            yield from ({"__name__": one.name} for one in self._quantities().values())
            return
        if not any(one.name in text for one in self._quantities().values()):
            return
        preset = load(self.preset)
        label, named = preset.pool_label, re.search(rf'{preset.pool_label}="([^"]*)"', text)
        if text.startswith("count by"):
            yield {label or "job": self.pool}
        elif not label or (named and named[1] == self.pool):
            job = re.search(r'job="([^"]*)"', text)
            yield from (one for one in self.jobs if not job or one.get("job") == job[1])

    def _series(self, text: str) -> Iterator[tuple[dict[str, str], Any]]:
        w, none = self.windows, np.zeros(self.windows.ends.size)
        hold = self._quantities().get("hold")
        waits = w.waits.total if hold is not None and hold.has_waits else none
        rows = {
            "in_use": w.in_use,
            "size": none + (w.most_size or np.nan),
            "waiting": none,
            "acquired": w.asks,
            "hold": w.holds.total + waits,
            "waited": w.waits.counts[:, -1] - w.waits.counts[:, 0],
            "wait": w.waits.total,
            "timeouts": none,
        }
        for key, one in self._quantities().items():
            if re.search(rf"\b{one.name}\b", text):
                is_count = text.startswith("count(")
                yield {}, w.pools if is_count else rows[key] / SECONDS[one.unit]
                return


def _text(value: float) -> str:
    return "+Inf" if np.isposinf(value) else repr(float(value))


@contextmanager
def serving(fake: Fake) -> Iterator[Fake]:
    """The fake on a port of this machine; `url` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, words = self.path.partition("?")
            fake.asked.append((self.command, path))
            fake.headers.append(dict(self.headers))
            query = dict(urllib.parse.parse_qsl(words))
            status, body = fake.answer(path.rsplit("/", 1)[-1], query)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:9/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
