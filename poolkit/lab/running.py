"""The lab as a whole: its upstreams, started side by side and stopped together."""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from poolkit.errors import BadInput
from poolkit.lab.catalogue import ALL, CATALOGUE, DSN_VARIABLE
from poolkit.lab.child import side_by_side
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream

_HEADER = """\
# The embedded lab of poolkit: real servers on this machine whose truth is known.
# They are there while the process that started them runs; ports change with every start.
"""


class Lab:
    """The lab's upstreams, running inside a `with`.

    Args:
        names: names of `ALL` to start, targets of PostgreSQL in one server; the demo's
            `CATALOGUE` when None.

    Raises `BadInput` for a name that is not there, and `MissingExtra` where a library of the lab is
    not installed.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = tuple(CATALOGUE) if names is None else tuple(dict.fromkeys(names))
        for name in self.names:
            if name not in ALL:
                near = difflib.get_close_matches(name, ALL, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise BadInput(
                    f"no such target in the lab: {name}{hint}", f"it has {', '.join(ALL)}"
                )
        self._upstreams = {
            name: HttpUpstream(model) for name in self.names if (model := ALL[name].model)
        }
        self._database = PostgresServer() if len(self._upstreams) < len(self.names) else None
        # The database first: it takes longest to start.
        first = [] if self._database is None else [self._database]
        self._servers = [*first, *self._upstreams.values()]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Lab:
        self._stack.enter_context(side_by_side(*self._servers))
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()

    def upstream(self, name: str) -> HttpUpstream:
        """The HTTP upstream of a target, for its truth, its counts and faults."""
        if name not in self._upstreams:
            raise BadInput(f"{name} is not an HTTP upstream of this lab: {self._running()}")
        return self._upstreams[name]

    def database(self) -> PostgresServer:
        """The server behind every database target."""
        if self._database is None:
            raise BadInput(f"there is no database in this lab: {self._running()}")
        return self._database

    def targets_toml(self) -> str:
        """Text of a targets.toml for what runs, the truth in comments; it holds no password."""
        urls = {name: upstream.url for name, upstream in self._upstreams.items()}
        return "\n".join([_HEADER, *(ALL[name].toml(urls.get(name)) for name in self.names)])

    def write_targets(self, path: Path) -> Path:
        """Write `targets_toml` to a file; `BadInput` where that is not possible."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.targets_toml(), encoding="utf-8")
        except OSError as error:
            raise BadInput(
                f"cannot write {path}: {error.strerror}", "name a file in a folder of your own"
            ) from None
        return path

    def environment(self) -> dict[str, str]:
        """Variables that a process needs which reads `targets_toml`; they hold the password."""
        return {} if self._database is None else {DSN_VARIABLE: self._database.dsn}

    @contextlib.contextmanager
    def in_environment(self) -> Iterator[None]:
        """While it lasts, this process and those that it starts have `environment`."""
        given = self.environment()
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            yield
        finally:
            for name, text in before.items():
                os.environ.pop(name, None)
                if text is not None:
                    os.environ[name] = text

    def export_lines(self) -> list[str]:
        """`environment` as lines for a shell."""
        return [f"export {name}={shlex.quote(text)}" for name, text in self.environment().items()]

    def _running(self) -> str:
        return f"it runs {', '.join(self.names)}"
