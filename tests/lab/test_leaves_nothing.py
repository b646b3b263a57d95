"""Whatever ends the process that started the lab, nothing of the lab stays."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from poolkit.lab.postgres import PostgresServer
from poolkit.lab.running import Lab

pytestmark = pytest.mark.lab

PATIENCE = 60.0  # s; it takes one or two on an idle machine

OWNER = """
import json, signal, time
from poolkit.lab.models import Workers
from poolkit.lab.running import Lab
from poolkit.lab.upstream import HttpUpstream

# A shell that runs the tests in the background has Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Lab(["lab-cpu", "lab-db"]) as lab, HttpUpstream(Workers(1, 0.001), tls_names=()) as tls:
    http, database = lab.upstream("lab-cpu"), lab.database()
    print(json.dumps({
        "ports": [http.port, tls.port, database.port],
        "pids": [http.pid, tls.pid, database.pid, database.server_pid],
        "folders": [str(tls.certificate.parent), database.folder],
    }), flush=True)
    time.sleep(60)
"""


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that its new parent has not reaped yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def leftovers(lab: dict[str, Any]) -> list[object]:
    return [
        *(port for port in lab["ports"] if is_open(port)),
        *(pid for pid in lab["pids"] if is_alive(pid)),
        *(folder for folder in lab["folders"] if Path(folder).exists()),
    ]


def wait_until_gone(lab: dict[str, Any]) -> list[object]:
    until = time.monotonic() + PATIENCE
    while leftovers(lab) and time.monotonic() < until:
        time.sleep(0.05)
    return leftovers(lab)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_owner_leaves_nothing(number: signal.Signals) -> None:
    """SIGKILL lets nobody tidy up: the lab's processes see by themselves that they are orphans."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as owner:
        assert owner.stdout is not None
        lab = json.loads(owner.stdout.readline())
        assert len(leftovers(lab)) == 9
        owner.send_signal(number)
    assert wait_until_gone(lab) == []


def test_a_killed_keeper_takes_its_server_along() -> None:
    """The kernel ends PostgreSQL with its keeper, and the `with` removes the folder."""
    with PostgresServer(accounts=10) as server:
        lab = {"ports": [server.port], "pids": [server.pid, server.server_pid]}
        lab["folders"] = [server.folder]
        os.kill(server.pid, signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while is_open(server.port) and time.monotonic() < until:
            time.sleep(0.05)
    assert wait_until_gone(lab) == []


def test_the_lab_writes_targets_without_its_password(tmp_path: Path) -> None:
    """The password goes through the environment only; after the `with` nothing is left."""
    with Lab() as lab:
        written = lab.write_targets(tmp_path / "folder" / "targets.toml").read_text()
        dsn = lab.environment()["POOLKIT_LAB_DSN"]
        assert dsn == lab.database().dsn
        assert dsn.split(":")[2].split("@")[0] not in written
        assert lab.upstream("lab-http").url in written
        assert lab.export_lines() == [f"export POOLKIT_LAB_DSN={dsn}"]
        upstreams = [lab.upstream(name) for name in ("lab-http", "lab-cpu", "lab-contended")]
        ports = [*(server.port for server in upstreams), lab.database().port]
        pids = [*(server.pid for server in upstreams), lab.database().server_pid]
        left = {"ports": ports, "pids": pids, "folders": [lab.database().folder]}
        assert len(leftovers(left)) == 9
    assert leftovers(left) == []
