"""The fleet that a database's connections are divided over: the target's own, or an example."""

from __future__ import annotations

from dataclasses import dataclass

from poolkit.analysis.what_if import Question
from poolkit.targets.objective import Objective

EXAMPLE_REPLICAS = 3
EXAMPLE_ROOM = 100, 3, 20  # PostgreSQL's default, its reserve, and some that others use


@dataclass(frozen=True, slots=True)
class Fleet:
    """Processes, each with a pool, and the connections that their database has.

    `invented` names what neither targets.toml nor the reader said.
    """

    replicas: int
    workers: int
    max_connections: int
    reserved: int
    in_use: int
    invented: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """Pools with every replica up."""
        return self.replicas * self.workers

    @property
    def room(self) -> int:
        """Connections that all pools together may open."""
        return self.max_connections - self.reserved - self.in_use

    @property
    def question(self) -> Question:
        """What is different from what the target asks, for `poolkit.analysis.what_if`."""
        return {
            "replicas": self.replicas,
            "workers": self.workers,
            "max_connections": self.room,
        }

    @property
    def words(self) -> str:
        """Whose figures these are, in a sentence; empty where all of them are the reader's own."""
        if not self.invented:
            return ""
        return f"An example, as targets.toml does not say: {' and '.join(self.invented)}."


def fleet_of(
    asked: Objective,
    replicas: int = 0,
    workers: int = 0,
    max_connections: int = 0,
    reserved: int = 0,
    in_use: int = 0,
) -> Fleet:
    """The fleet that a reader names; what is 0 is as the target asks, else an example.

    Args:
        asked: what targets.toml says of the target.
        replicas, workers: processes of each replica.
        max_connections, reserved, in_use: of the database; the latter two belong to the first.
    """
    invented = []
    if not replicas and asked.replicas == 1:
        replicas = EXAMPLE_REPLICAS
        invented.append(f"{replicas} replicas")
    if not max_connections and asked.max_connections is None:
        max_connections, reserved, in_use = EXAMPLE_ROOM
        invented.append(f"max_connections {max_connections}, {reserved} reserved, {in_use} in use")
    elif not max_connections:
        max_connections = asked.max_connections or 0
        reserved, in_use = asked.reserved_connections, asked.used_connections
    return Fleet(
        replicas or asked.replicas,
        workers or asked.workers,
        max_connections,
        reserved,
        in_use,
        tuple(invented),
    )
