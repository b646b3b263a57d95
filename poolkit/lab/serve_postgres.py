"""The keeper of a throwaway PostgreSQL: `python -m poolkit.lab.serve_postgres --help`.

It makes a data directory, runs the server on it and removes everything when it ends: on SIGTERM or
SIGINT, or when its parent is gone. It reads commands (`crash`, `start`) from stdin, a line each,
and answers every one, and its own start, with a line of JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from poolkit.errors import PoolkitError
from poolkit.lab.child import LOOK_FOR_PARENT, is_orphan
from poolkit.lab.cluster import Cluster
from poolkit.lab.postgres_files import find_programs, new_folder, run_as
from poolkit.lab.tables import ACCOUNTS, MAX_CONNECTIONS

MODULE = "poolkit.lab.serve_postgres"


class _Ended(BaseException):
    """A signal asked the keeper to end; not an Exception, so that nothing swallows it."""


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    # A second signal must not interrupt the tidying up.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise _Ended


def _report(cluster: Cluster, folder: Path) -> None:
    state = {
        "dsn": cluster.dsn,
        "port": cluster.port,
        "pid": os.getpid(),
        "postgres_pid": cluster.pid,
        "folder": str(folder),
    }
    os.write(1, json.dumps(state).encode() + b"\n")


def _keep(cluster: Cluster, folder: Path, parent: int | None) -> None:
    _report(cluster, folder)
    while not is_orphan(parent):
        if not select.select([0], [], [], LOOK_FOR_PARENT)[0]:
            continue
        command = os.read(0, 4096).decode().strip()
        if command == "crash":
            cluster.stop(signal.SIGQUIT)
        elif command == "start":
            cluster.start()
        else:  # nothing: the other end of the pipe is closed
            break
        _report(cluster, folder)


def main() -> int:
    """Keep the server until SIGTERM, SIGINT, the end of stdin or the parent's end."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS, help="rows of pgbench_accounts")
    parser.add_argument("--max-connections", type=int, default=MAX_CONNECTIONS)
    parser.add_argument("--parent", type=int, help="pid; the server ends when it does")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    folder: Path | None = None
    cluster: Cluster | None = None
    try:
        user = run_as()
        folder = new_folder(user)
        cluster = Cluster(
            find_programs(user, folder), folder, arguments.accounts, arguments.max_connections
        )
        cluster.create()
        cluster.start()
        _keep(cluster, folder, arguments.parent)
    except PoolkitError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    except (_Ended, BrokenPipeError):
        pass
    finally:
        if cluster is not None:
            cluster.stop()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
