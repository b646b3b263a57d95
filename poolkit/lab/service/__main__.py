"""Runs the demo service: `python -m poolkit.lab.service --help`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from poolkit.errors import BadInput, PoolkitError
from poolkit.lab.child import LOOK_FOR_PARENT, is_orphan
from poolkit.lab.running import Lab
from poolkit.lab.service.app import create_app
from poolkit.lab.service.sizes import (
    UPSTREAMS,
    load_pools,
    parse_sizes,
    pools_source,
    targets_of,
    targets_toml,
)

MODULE = "poolkit.lab.service"


def main(words: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C, SIGTERM or the parent's end."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description="A demo service on this machine's loopback, over three connection pools.",
    )
    parser.add_argument(
        "--sizes",
        default="undersized",
        help="undersized (default), recommended, or NAME=SIZE,... ; starts the lab for upstreams",
    )
    parser.add_argument(
        "--pools",
        type=Path,
        metavar="FILE",
        help="the pools.py of a review instead; its upstreams must run",
    )
    parser.add_argument("--port", type=int, default=8800, help="default 8800; 0: any free one")
    parser.add_argument(
        "--targets-out", type=Path, metavar="FILE", help="write the targets.toml to review"
    )
    parser.add_argument("--parent", type=int, help="pid; the service ends when it does")
    arguments = parser.parse_args(words)
    # uvicorn hands signals on when it has shut down; what stands around it is to be tidied up too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(_listen(arguments.port))
            path = arguments.pools or _own_pools(stack, arguments.sizes, arguments.targets_out)
            _serve(path, listening, arguments.parent)
    except PoolkitError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        pass
    return 0


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise BadInput(
            f"cannot listen on port {port}: {error}", "name another with --port, or 0 for any"
        ) from error


def _own_pools(stack: contextlib.ExitStack, sizes: str, targets_out: Path | None) -> Path:
    """The lab, started, and a pools.py for it."""
    chosen = parse_sizes(sizes)
    lab = stack.enter_context(Lab(UPSTREAMS))
    os.environ.update(lab.environment())
    if targets_out is not None:
        targets_out.write_text(targets_toml(lab), encoding="utf-8")
        for line in lab.export_lines():
            sys.stderr.write(f"{line}\n")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-service-")))
    path = folder / "pools.py"
    path.write_text(pools_source(targets_of(lab), chosen), encoding="utf-8")
    return path


def _serve(path: Path, listening: socket.socket, parent: int | None) -> None:
    config = uvicorn.Config(create_app(load_pools(path)), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    threading.Thread(target=_look_on, args=(server, url, parent), daemon=True).start()
    server.run(sockets=[listening])
    if not server.started:
        raise PoolkitError("the service did not start", "see the lines above")


def _look_on(server: uvicorn.Server, url: str, parent: int | None) -> None:
    """Tell when the service is up, and end it with its parent."""
    while not server.started:
        time.sleep(0.01)
    sys.stdout.write(json.dumps({"url": url, "metrics": f"{url}/metrics"}) + "\n")
    sys.stdout.flush()
    while not is_orphan(parent):
        time.sleep(LOOK_FOR_PARENT)
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
