"""The brakes of the real command, each made to happen: exit code, cause, remedy, what is kept."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from tests.faults.driving import Command, wait_until
from tests.faults.proxy import FaultProxy, Mode

pytestmark = pytest.mark.lab

QUICK = ("--sizes", "2", "--budget", "1")
LONG = ("--sizes", "2,4,8", "--budget", "60")
AT_ONCE = 4.0  # s: a start of Python's end on a busy machine, and less than the grace of 5 s


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        yield server


@pytest.fixture
def proxy(upstream: HttpUpstream) -> Iterator[FaultProxy]:
    with FaultProxy(upstream.port) as running:
        yield running


@pytest.fixture(scope="module")
def small_postgres() -> Iterator[PostgresServer]:
    """A server with 20 connections, 3 of them reserved for its superuser."""
    with PostgresServer(accounts=100, max_connections=20) as server:
        yield server


def http(port: int, *more: str) -> str:
    return "\n".join(['driver = "aiohttp"', f'url = "http://127.0.0.1:{port}/"', *more])


def database(dsn: str, statement: str, *more: str) -> str:
    lines = ['driver = "asyncpg"', f'dsn = "{dsn}"', f'statements = ["{statement}"]', *more]
    return "\n".join(lines)


# -- before any load --------------------------------------------------------------------------


def test_the_connection_budget_of_a_small_database(
    tmp_path: Path, small_postgres: PostgresServer
) -> None:
    """A sweep that would take its last connections is refused; one that fits is not."""
    with Command(tmp_path, database(small_postgres.dsn, "select 1", "max_size = 18")) as refused:
        assert refused.finish().code == 2
        assert "17 free connections" in refused.failed["cause"]
        assert "max_size = 17" in refused.failed["remedy"]
        assert refused.of("trial_started") == []
    fits = database(small_postgres.dsn, "select 1", "max_size = 17")
    with Command(tmp_path, fits, "--sizes", "17", "--budget", "1") as fitting:
        assert fitting.finish().code in (0, 4)
        assert fitting.trials[0].pool_size == 17


def test_too_few_file_descriptors(tmp_path: Path, upstream: HttpUpstream) -> None:
    """What the process has open already counts as well; the remedy names the command."""

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (90, 90))

    with Command(tmp_path, http(upstream.port, "max_size = 64"), preexec_fn=lower) as command:
        assert command.finish().code == 2
        assert "this process may open 90" in command.failed["cause"]
        assert "ulimit -n" in command.failed["remedy"]
        assert command.of("started") == []


@pytest.mark.parametrize("is_allowed", [False, True])
def test_writes_are_refused_unless_the_target_allows_them(
    tmp_path: Path, small_postgres: PostgresServer, is_allowed: bool
) -> None:
    """The server itself refuses them, in every call, and the remedy names the key."""
    statement = "insert into pgbench_history (tid, bid, aid, delta) values (1, 1, 1, 1)"
    allowed = ("max_size = 2", "read_only = false") if is_allowed else ("max_size = 2",)
    with Command(tmp_path, database(small_postgres.dsn, statement, *allowed), *QUICK) as command:
        command.finish()
        if is_allowed:
            assert command.code in (0, 4)
            assert sum(trial.outcomes["ok"] for trial in command.trials) > 10
        else:
            assert command.code == 3
            assert "ReadOnly" in command.failed["cause"]
            assert "read_only = false" in command.failed["remedy"]
            assert command.trials == []


# -- under load -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("brake", "mode", "more"),
    [
        ("silence", "silent", ""),
        ("error_share", "truncate", ""),
        ("p99", "slow", "response_p99 = 0.05"),
    ],
)
def test_a_brake_stops_the_sweep(
    tmp_path: Path, proxy: FaultProxy, brake: str, mode: Mode, more: str
) -> None:
    """Exit 3 with cause and remedy; the last trial names the brake; earlier ones are kept."""
    with Command(tmp_path, http(proxy.port, more), *LONG) as command:
        command.wait_for("trial")
        command.wait_for("progress", 2)
        proxy.turn(mode)
        command.finish()
        assert command.code == 3
        assert f"stopped by the {brake} brake" in command.failed["cause"]
        assert "resumes" in command.failed["remedy"]
        assert command.stderr == ""
        assert command.trials[-1].stopped == brake
        assert command.trials[0].stopped is None


def assert_resumes(folder: Path, target: str) -> None:
    """The same command goes on from the finished trials; a stopped one is only kept."""
    with Command(folder, target, *QUICK) as command:
        before = command.trials
        finished = [trial for trial in before if trial.stopped is None]
        command.finish()
        assert command.code in (0, 4), command.events
        assert command.of("started")[0]["resumed"]["trials"] == len(finished)
        assert command.trials[: len(before)] == before


@pytest.mark.alone  # of few calls five are a share of failures, another brake
def test_a_server_that_is_gone_stops_the_sweep(tmp_path: Path) -> None:
    """Refused connections stop a trial after a handful; started again, the sweep resumes."""
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        target = http(server.port)
        with Command(tmp_path, target, *LONG) as command:
            command.wait_for("trial")
            command.wait_for("progress")
            server.kill()
            command.finish()
            assert command.code == 3
            # On a slow machine five refusals may be a share of the calls that is too large.
            stopped = command.trials[-1].stopped
            assert stopped in ("refused", "error_share")
            assert " brake: " in command.failed["cause"]
            if stopped == "refused":
                assert "stopped by the refused brake" in command.failed["cause"]
                assert "whether the server still runs" in command.failed["remedy"]
        server.restart()
        assert_resumes(tmp_path, target)


def test_a_database_that_is_gone_stops_the_sweep(
    tmp_path: Path, small_postgres: PostgresServer
) -> None:
    """The same for PostgreSQL, whose pool dials before the trial: that is no bad input either."""
    target = database(small_postgres.dsn, "select pg_sleep(0.005)", "max_size = 8")
    with Command(tmp_path, target, *LONG) as command:
        command.wait_for("trial")
        command.wait_for("progress", 2)
        small_postgres.kill()
        command.finish()
        assert command.code == 3
        assert "brake" in command.failed["cause"]
        assert len(command.trials) >= 1
        assert command.trials[0].stopped is None
        assert command.stderr == ""
    small_postgres.restart()
    assert_resumes(tmp_path, target)


def test_connections_that_others_took_stop_the_sweep(
    tmp_path: Path, small_postgres: PostgresServer
) -> None:
    """There was a budget at the start; when it is gone the sweep is stopped, no bad input."""

    async def take_all(command: Command) -> None:
        taken = []
        try:
            while True:
                taken.append(await asyncpg.connect(small_postgres.dsn))
        except asyncpg.TooManyConnectionsError:
            await asyncio.to_thread(command.finish)
        finally:
            for connection in taken:
                connection.terminate()

    target = database(small_postgres.dsn, "select pg_sleep(0.005)", "max_size = 8")
    with Command(tmp_path, target, *LONG) as command:
        command.wait_for("trial")
        asyncio.run(take_all(command))
        assert command.code == 3
        assert "no free connection" in command.failed["cause"]
        assert command.trials
        assert command.stderr == ""


def test_running_out_of_files_stops_the_sweep(tmp_path: Path, upstream: HttpUpstream) -> None:
    """EMFILE in mid-sweep is named, with the command that raises the limit."""
    with Command(tmp_path, http(upstream.port), *LONG) as command:
        command.wait_for("trial")
        pid = command.process.pid
        # A trial opens a handful of files beside its connections.
        room = psutil.Process(pid).num_fds() + 3
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (room, room))
        command.finish()
        assert command.code == 3
        assert "too many open files" in command.failed["cause"]
        assert "ulimit -n" in command.failed["remedy"]
        assert command.trials[0].stopped is None
        assert command.stderr == ""


# -- from outside, with a server that has just gone silent: the harder case ------------------------


def test_sigterm_ends_it_at_once(tmp_path: Path, proxy: FaultProxy) -> None:
    """Exit 130 and finished trials kept, even when the server does not answer any more."""
    with Command(tmp_path, http(proxy.port), *LONG) as command:
        command.wait_for("trial")
        command.wait_for("trial_started")
        proxy.turn("silent")
        wait_until(lambda: proxy.swallowed > 0)
        command.process.send_signal(signal.SIGTERM)
        command.finish(AT_ONCE)
        assert command.code == 130
        assert command.failed["cause"] == "cancelled"
        assert {trial.stopped for trial in command.trials} == {None}
        assert command.stderr == ""


def test_sigterm_does_not_wait_for_a_silent_database(
    tmp_path: Path, small_postgres: PostgresServer
) -> None:
    """A driver that shields its release from cancellation cannot hold the process back."""
    with FaultProxy(small_postgres.port) as proxy:
        dsn = small_postgres.dsn.replace(f":{small_postgres.port}/", f":{proxy.port}/")
        target = database(dsn, "select pg_sleep(0.005)", "max_size = 8")
        with Command(tmp_path, target, *LONG) as command:
            command.wait_for("progress")
            proxy.turn("silent")
            wait_until(lambda: proxy.swallowed > 0)
            command.process.send_signal(signal.SIGTERM)
            command.finish(AT_ONCE)
            assert command.code == 130
            assert command.stderr == ""


PARENT = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_no_load_is_left_when_the_parent_is_killed(tmp_path: Path, proxy: FaultProxy) -> None:
    """SIGKILL to the process that started it: the generator is gone, and waits for nobody."""
    with Command(tmp_path, http(proxy.port), *LONG, wrapper=("-c", PARENT)) as command:
        assert command.process.stdout is not None
        child = psutil.Process(int(command.process.stdout.readline()))
        wait_until(lambda: proxy.clients > 0)
        proxy.turn("silent")
        wait_until(lambda: proxy.swallowed > 0)
        command.process.kill()
        gone, alive = psutil.wait_procs([child], timeout=AT_ONCE)
        assert (len(gone), alive) == (1, [])


HASTY = """
import sys
from poolkit.measure import run
run.DEADLINE_BUDGETS, run.DEADLINE_SPARE = 0.0, 2.0
sys.argv[0] = "poolkit"
from poolkit.cli import main
main()
"""


def test_the_deadline_ends_it(tmp_path: Path, proxy: FaultProxy) -> None:
    """Hard cap on seconds: exit 3 with the brake's name, whatever the server does."""
    with Command(tmp_path, http(proxy.port), *LONG, python=("-c", HASTY)) as command:
        command.wait_for("trial_started")
        proxy.turn("silent")
        command.finish()
        assert command.code == 3
        assert "stopped by the deadline brake" in command.failed["cause"]
        assert command.stderr == ""


# A resolver that obeys a file: `fail` answers that the name server cannot be reached, `hang` waits
# for it. uvloop asks the C library, past Python, so it is left out.
NAMES = """
import socket, sys, time
from pathlib import Path
sys.modules["uvloop"] = None
order, resolve = Path(sys.argv.pop(1)), socket.getaddrinfo
def obey(host, *more, **options):
    word = order.read_text() if host in ("localhost", b"localhost") else ""
    if word == "hang":
        order.with_suffix(".begun").touch()
        time.sleep(300.0)
    if word:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return resolve(host, *more, **options)
socket.getaddrinfo = obey
sys.argv[0] = "poolkit"
from poolkit.cli import main
main()
"""


def test_a_name_that_stops_resolving(tmp_path: Path, upstream: HttpUpstream) -> None:
    """Kept connections go on, the next pool gets none: refused, with a remedy of its own."""
    order = tmp_path / "names"
    order.write_text("")
    target = http(upstream.port).replace("127.0.0.1", "localhost")
    with Command(tmp_path, target, *LONG, python=("-c", NAMES, str(order))) as command:
        command.wait_for("progress")
        order.write_text("fail")
        command.finish()
        assert command.code == 3
        assert "stopped by the refused brake" in command.failed["cause"]
        assert "no longer resolves" in command.failed["remedy"]
        *whole, last = [trial.stopped for trial in command.trials]
        assert (set(whole), last) == ({None}, "refused")
        assert command.trials[0].outcomes["ok"] > 0


def test_a_hanging_look_up_holds_nobody(tmp_path: Path, upstream: HttpUpstream) -> None:
    """It cannot be cancelled and lasts for minutes here, and the process ends all the same."""
    order = tmp_path / "names"
    order.write_text("")
    target = http(upstream.port).replace("127.0.0.1", "localhost")
    with Command(tmp_path, target, *LONG, python=("-c", NAMES, str(order))) as command:
        command.wait_for("progress")
        order.write_text("hang")
        wait_until(order.with_suffix(".begun").exists)
        command.process.send_signal(signal.SIGTERM)
        command.finish()
        assert command.code == 130
        assert {trial.stopped for trial in command.trials} == {None}
