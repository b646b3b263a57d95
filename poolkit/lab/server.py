"""What the parts of the lab have in common: started, waited for, closed whatever happens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class LabServer(ABC):
    """Part of the lab, a context manager; `start` before the `with` lets several begin at once."""

    @abstractmethod
    def start(self) -> None:
        """Start without waiting; harmless when it was started before."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it can be used."""

    @abstractmethod
    def close(self) -> None:
        """Stop it; harmless when it is closed."""

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
