"""A real server for every driver, a service that exports gauges, and a Prometheus that reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from poolkit.errors import BadInput
from poolkit.lab.postgres import PostgresServer
from poolkit.targets.production import RateQuery, ask
from tests.monitor.beside import Bench
from tests.monitor.exporting import ExportingService
from tests.monitor.prometheus import Prometheus
from tests.monitor.subjects import SUBJECTS
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url


@pytest.fixture(params=SUBJECTS, ids=lambda kind: str(kind.name))
def bench(request: pytest.FixtureRequest, postgres: PostgresServer, redis_url: str) -> Bench:
    """Each driver in turn."""
    subject = request.param()
    return Bench(subject, redis_url if subject.name == "redis" else postgres.dsn)


@pytest.fixture(scope="session")
def service(postgres: PostgresServer) -> Iterator[ExportingService]:
    with ExportingService(postgres.dsn) as running:
        yield running


@pytest.fixture(scope="session")
def prometheus(service: ExportingService) -> Iterator[Prometheus]:
    """A Prometheus that has scraped the service often enough to tell rates."""
    with Prometheus(f"127.0.0.1:{service.port}") as server:
        deadline = time.monotonic() + 60.0
        while True:
            try:
                ask(
                    RateQuery(
                        server.url,
                        'sum(rate(poolkit_pool_hold_seconds_count{pool="orders-db"}[3s])) > 10',
                    )
                )
            except BadInput:
                assert time.monotonic() < deadline, "Prometheus saw no traffic in a minute"
                time.sleep(0.2)
            else:
                break
        yield server
