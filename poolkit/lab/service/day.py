"""Sends compressed days to the demo service: `python -m poolkit.lab.service.day --help`.

Calls arrive by themselves, as those of many users do (Poisson), at a rate that goes from the
night's up to the peak and back within one day.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from poolkit.errors import BadInput, PoolkitError
from poolkit.lab.child import LOOK_FOR_PARENT, Child, is_orphan
from poolkit.lab.service.run import PATH, SEED, own_address, send
from poolkit.lab.service.sizes import TARGET_RATE
from poolkit.load.arrivals import thinned
from poolkit.load.generator import Plan
from poolkit.load.measurement import Measurement, together

Shape = Literal["sine", "steps"]
NIGHT = 0.25  # of the peak
STEPS = (0.0, 0.5, 1.0, 0.5, 0.0)  # of the way from night to peak, in equal parts of the day
SHORTEST, LONGEST = 5.0, 3600.0  # s, of a day
MOST_DAYS = 100
MOST_RATE = 1000.0  # calls/s


@dataclass(frozen=True, slots=True)
class Day:
    """The demand of one day.

    Attributes:
        seconds: that it is compressed to.
        peak: its highest rate (calls/s).
        night: share of the peak at its lowest (0 to 1).
        shape: a sine with its peak at noon, or five steps.
    """

    seconds: float
    peak: float = TARGET_RATE
    night: float = NIGHT
    shape: Shape = "sine"

    def rate(self, at: float) -> float:
        """Calls/s at so many s of the day."""
        share = at / self.seconds % 1.0
        height = (1.0 - math.cos(2.0 * math.pi * share)) / 2.0
        if self.shape == "steps":
            height = STEPS[int(share * len(STEPS))]
        return self.peak * (self.night + (1.0 - self.night) * height)

    def arrivals(self, seed: int) -> Iterator[float]:
        """When its calls are due (s); another seed makes another day of the same demand."""
        return thinned(self.rate, self.peak, self.seconds, seed)

    def plan(self, seed: int) -> Plan:
        """Its load."""
        return Plan(seconds=self.seconds, warm_up=0.0, seed=seed, arrivals=self.arrivals(seed))


class DayProcess(Child):
    """Days for the service at `url` from a process of their own, until it is closed."""

    module = "poolkit.lab.service.day"

    def __init__(self, url: str, day: float) -> None:
        super().__init__(url=url, day=day, days=MOST_DAYS)


def live(base: str, day: Day, *, seed: int = SEED) -> Measurement:
    """Send one day to the busiest address of a running service.

    Args:
        base: the service's base URL; this machine.
        seed: of its arrivals.

    Raises:
        BadInput: it is not on this machine; nothing was sent.
    """
    return asyncio.run(send(f"{own_address(base)}{PATH}", day.plan(seed)))


def check_length(seconds: float) -> None:
    """BadInput for a day that is too short or too long."""
    if not SHORTEST <= seconds <= LONGEST:
        raise BadInput(f"--day must be from {SHORTEST:g} to {LONGEST:g} s, got {seconds:g}")


def main() -> int:
    """Send days until they are over, Ctrl-C, SIGTERM or the parent's end."""
    parser = argparse.ArgumentParser(
        prog="python -m poolkit.lab.service.day",
        description="Compressed days of calls for the demo service, on this machine only.",
    )
    parser.add_argument("--url", required=True, help="of the service: http://127.0.0.1:8800")
    parser.add_argument("--day", type=float, required=True, metavar="SECONDS", help="of a day")
    parser.add_argument("--days", type=int, default=1, help="default 1")
    parser.add_argument(
        "--peak", type=float, default=TARGET_RATE, help=f"calls/s, default {TARGET_RATE:g}"
    )
    parser.add_argument(
        "--night", type=float, default=NIGHT, help=f"share of the peak, default {NIGHT:g}"
    )
    parser.add_argument("--shape", choices=("sine", "steps"), default="sine")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--parent", type=int, help="pid; the load ends when it does")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with, args=(asked.parent,), daemon=True).start()
    try:
        base = own_address(asked.url)
        day = _day(asked)
        _say(url=base, seconds=day.seconds, days=asked.days, peak=day.peak)
        for number in range(asked.days):
            seed = asked.seed + number
            whole = together(live(base, day, seed=seed).segments)
            response = whole.response.distribution()
            _say(
                day=number + 1,
                calls=whole.outcomes.total(),
                ok=whole.outcomes["ok"],
                response_p50=response.p50,
                response_p99=response.p99,
            )
    except PoolkitError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    return 0


def _day(asked: argparse.Namespace) -> Day:
    check_length(asked.day)
    for name, low, high in (
        ("days", 1, MOST_DAYS),
        ("peak", 0.1, MOST_RATE),
        ("night", 0.0, 1.0),
        ("seed", 0, 2**32),
    ):
        value = getattr(asked, name)
        if not low <= value <= high:
            raise BadInput(f"--{name} must be from {low:g} to {high:g}, got {value:g}")
    return Day(asked.day, asked.peak, asked.night, asked.shape)


def _say(**told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _end_with(parent: int | None) -> None:
    while not is_orphan(parent):
        time.sleep(LOOK_FOR_PARENT)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
