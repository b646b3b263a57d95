"""A small real process in place of a measurement; its argument says how it behaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import FrameType

STARTED = {
    "event": "started",
    "target": "orders-api",
    "driver": "aiohttp",
    "budget": 45.0,
    "at": "2026-01-02T03:04:05+00:00",
}
DONE = {"event": "done", "target": "orders-api", "exit_code": 0}


def say(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def progress(seconds: float) -> None:
    say(
        event="progress",
        target="orders-api",
        seconds=seconds,
        budget=45.0,
        pool_size=4,
        throughput=498.0,
        calls=120,
    )


def polite(_number: int, _frame: FrameType | None) -> None:
    say(event="failed", target="orders-api", cause="cancelled", remedy="again", exit_code=130)
    say(event="done", target="orders-api", exit_code=130)
    sys.exit(130)


def main() -> None:
    behaviour = sys.argv[1]
    if behaviour == "polite":
        signal.signal(signal.SIGTERM, polite)
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "refused":
        sys.stderr.write("no such option: --sice\n")
        sys.exit(2)
    say(**STARTED)
    if behaviour == "normal":
        progress(1.0)
        say(**DONE)
    elif behaviour == "out_of_reach":
        say(**(DONE | {"exit_code": 4}))
        sys.exit(4)
    elif behaviour == "garbage":
        sys.stdout.write('hello\n{"event": "progress"\n{"event": "unheard of"}\n\xff\n')
    elif behaviour == "pieces":
        line = json.dumps(DONE | {"target": "größer"}, ensure_ascii=False).encode() + b"\n"
        for index in range(len(line)):
            os.write(1, line[index : index + 1])
    elif behaviour == "crash":
        raise RuntimeError(f"no route to {os.environ['SECRET_DSN']}")
    elif behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif behaviour == "grandchild":
        # It inherits this process's stdout and keeps it open.
        helper = subprocess.Popen(["sleep", "60"])
        say(**(DONE | {"exit_code": 0, "target": str(helper.pid)}))
    elif behaviour == "flood":
        while True:
            progress(1.0)
    elif behaviour in ("polite", "deaf"):
        while True:
            time.sleep(0.01)
            progress(2.0)


if __name__ == "__main__":
    main()
