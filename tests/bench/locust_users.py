"""Calls per CPU second of the generator on aiohttp against Locust's FastHttpUser, same server.

Locust gets an environment of its own below build/: it would bring gevent into poolkit's.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import venv
from pathlib import Path

from poolkit.drivers.aiohttp import AiohttpPool
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.targets.workload import HttpWork
from tests.bench.interleaved import instrumented_loop, reached

REPEATS = 5
USERS_AT_ONCE = 16
GOAL = 1.3
HOME = Path(__file__).parents[2] / "build" / "locust"
USERS = """
import sys, time
from locust import FastHttpUser, constant, task
from locust.env import Environment
import gevent

class User(FastHttpUser):
    host = sys.argv[1]
    wait_time = constant(0)

    @task
    def get(self):
        self.client.get("/")

environment = Environment(user_classes=[User])
runner = environment.create_local_runner()
runner.start(int(sys.argv[2]), spawn_rate=1000)
gevent.sleep(1.0)
calls, cpu = environment.stats.total.num_requests, time.process_time()
gevent.sleep(3.0)
calls = environment.stats.total.num_requests - calls
cpu = time.process_time() - cpu
runner.quit()
print(calls / cpu)
"""


def environment() -> Path:
    """The Python that has Locust, made once."""
    python = HOME / "bin" / "python"
    if not (HOME / "done").exists():
        venv.create(HOME, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "locust"], check=True)
        (HOME / "done").touch()
    return python


def locust(python: Path, url: str) -> float:
    """Calls per CPU second of Locust users without a pause, in a process of their own."""
    done = subprocess.run(
        [python, "-c", USERS, url.rstrip("/"), str(USERS_AT_ONCE)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


async def poolkit(url: str) -> float:
    """Calls per CPU second of as many callers of the generator on aiohttp."""
    pool = AiohttpPool(HttpWork("GET", url), USERS_AT_ONCE)
    await pool.open()
    rate, _ = await instrumented_loop(pool, 3.0)
    await pool.close()
    return rate


def main() -> int:
    """Take turns, and print the median ratio."""
    import uvloop

    python = environment()

    with HttpUpstream(Workers(workers=1000, service_time=1e-6)) as upstream:
        rows = []
        for _ in range(REPEATS):
            theirs = locust(python, upstream.url)
            rows.append((uvloop.run(poolkit(upstream.url)), theirs))
    ratio = statistics.median(ours / theirs for ours, theirs in rows)
    ours, theirs = (statistics.median(column) for column in zip(*rows, strict=True))
    print(
        f"calls per CPU second: poolkit on aiohttp {ours:.0f}, Locust's FastHttpUser {theirs:.0f}, "
        f"ratio {ratio:.2f}: {reached(ratio >= GOAL)} (>= {GOAL})"
    )
    return int(ratio < GOAL)


if __name__ == "__main__":
    sys.exit(main())
