"""Real servers with short timeouts, and one of our own that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import pytest

START_TIMEOUT = 15.0  # s
Manner = Literal["fin", "on_use", "silent", "random", "never", "age", "uses", "one"]
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def find_program(name: str) -> str:
    """The program; skips the test where it is not installed, but not in continuous integration."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed: apt-get install {name}")
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    return found


@contextlib.contextmanager
def nginx(
    *,
    tls: tuple[Path, Path] | None = None,
    http: str = "access_log off;",
    location: str = 'return 200 "ok";',
    **settings: object,
) -> Iterator[str]:
    """nginx on a free port, with `settings` in its server block; gives its URL.

    `http` and `location` stand as they are in the blocks of these names.
    """
    program = find_program("nginx")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="poolkit-nginx-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        secure = ""
        if tls is not None:
            secure = f"ssl_certificate {tls[0]};\nssl_certificate_key {tls[1]};\n"
        lines = "\n".join(f"{name} {value};" for name, value in settings.items())
        temporary = "\n".join(
            f"{kind}_temp_path {path}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (path / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/log;\n"
            f"events {{}}\nhttp {{\n{http}\n{temporary}\nserver {{\n"
            f"listen 127.0.0.1:{port}{' ssl' if tls else ''};\n{secure}{lines}\n"
            f"location / {{ {location} }}\n}}\n}}\n"
        )
        process = subprocess.Popen(
            [program, "-e", str(path / "log"), "-c", str(path / "nginx.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with running(process, port):
            yield f"http{'s' if tls else ''}://127.0.0.1:{port}/"


@contextlib.contextmanager
def uvicorn(keep_alive: int | None = None) -> Iterator[str]:
    """uvicorn on a free port; None: its own keep-alive timeout (5 s)."""
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "tests.probes.servers:application"]
    words += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    if keep_alive is not None:
        words += ["--timeout-keep-alive", str(keep_alive)]
    with running(subprocess.Popen(words), port):
        yield f"http://127.0.0.1:{port}/"


async def application(scope, receive, send):  # type: ignore[no-untyped-def]
    """The smallest ASGI application."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.contextmanager
def running(process: subprocess.Popen[bytes], port: int) -> Iterator[None]:
    """Wait until it listens; end it with the block."""
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args!r} does not listen ({process.poll()})")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, signed by itself."""
    paths = folder / "cert.pem", folder / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*words.split(), *name, *files], check=True, capture_output=True)
    return paths


@contextlib.asynccontextmanager
async def ill_mannered(manner: Manner, limit: float = 1.2, seed: int = 1) -> AsyncIterator[str]:
    """An HTTP server that ends its connections in the manner given, after `limit` (s or requests).

    fin: a FIN after a silence; on_use: nothing until the next request, then a reset; silent: the
    next request gets no answer; random: a FIN after 0.3 to 3 s; age: a FIN at an age, used or not;
    uses: the last request says `Connection: close`; one: every request does.
    """
    draws = random.Random(seed)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        born = loop.time()
        served = 0
        try:
            while True:
                patience = {
                    "fin": limit,
                    "random": draws.uniform(0.3, 3.0),
                    "age": born + limit - loop.time(),
                }.get(manner)
                since = loop.time()
                try:
                    async with asyncio.timeout(patience):
                        await reader.readuntil(b"\r\n\r\n")
                except TimeoutError:
                    return
                is_late = served and loop.time() - since > limit
                if is_late and manner == "on_use":
                    writer.transport.abort()
                    return
                if is_late and manner == "silent":
                    await asyncio.sleep(60.0)
                served += 1
                is_last = manner == "one" or (manner == "uses" and served >= limit)
                writer.write(_LAST if is_last else _ANSWER)
                await writer.drain()
                if is_last:
                    return
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=256)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
