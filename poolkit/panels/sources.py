"""Where a panel's figures come from: the embedded lab, a targets.toml, or a recorded review.

A notebook that Voila serves as a page sends no load when it is opened.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from poolkit.errors import BadInput
from poolkit.lab.catalogue import CATALOGUE
from poolkit.lab.running import Lab
from poolkit.report.folder import TargetReview, read_review
from poolkit.report.source import RECORDED, VARIABLE, named, shared
from poolkit.report.temporary import lasting_folder
from poolkit.targets.reading import read_toml


class Source(Protocol):
    """Targets to pick from; what is not live has recordings in place of endpoints."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets, in order."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether its targets can be measured now."""
        ...

    @property
    def identity(self) -> str:
        """What two objects have in common that stand for one source."""
        ...

    def driver(self, name: str) -> str:
        """The client library of a target; empty where the target does not say."""
        ...

    def targets_file(self, name: str) -> Path:
        """A targets.toml that holds the target, its endpoint ready; it may take seconds."""
        ...

    def recording(self, name: str) -> TargetReview | None:
        """What was found of the target before; None where nothing is kept."""
        ...


class LabSource:
    """The embedded lab; an upstream starts when it is first measured and ends with this process."""

    is_live = True
    identity = "lab"

    def __repr__(self) -> str:
        return "LabSource()"

    @property
    def names(self) -> tuple[str, ...]:
        """The lab's targets."""
        return tuple(CATALOGUE)

    def driver(self, name: str) -> str:
        """The client library that the lab drives it with."""
        return CATALOGUE[name].driver

    def targets_file(self, name: str) -> Path:
        """Starts the target's upstream, unless it runs already."""
        with _starting:
            if name not in _running:
                lab = Lab([name])
                lab.__enter__()
                atexit.register(lab.close)
                folder = lasting_folder("poolkit-lab-")
                # The measuring process finds the throwaway password of the lab's database there.
                os.environ.update(lab.environment())
                _running[name] = lab.write_targets(folder / "targets.toml")
            return _running[name]

    def recording(self, name: str) -> TargetReview | None:
        """The recording that comes with the project, where it is installed."""
        try:
            return RecordedSource(shared(RECORDED)).recording(name)
        except BadInput:
            return None


# Upstreams of this process, shared by its panels: name -> targets.toml.
_running: dict[str, Path] = {}
_starting = threading.Lock()


class FileSource:
    """The targets of a targets.toml; BadInput where the file cannot be read."""

    is_live = True

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path).absolute()
        tables = read_toml(self._path).get("targets", {})
        self._tables: dict[str, Any] = tables if isinstance(tables, dict) else {}
        self.identity = str(self._path)

    def __repr__(self) -> str:
        return f"FileSource({self._path.name})"

    @property
    def names(self) -> tuple[str, ...]:
        """The file's targets; whether they are right is seen when one is measured."""
        return tuple(self._tables)

    def driver(self, name: str) -> str:
        """What the file says; it is not checked yet."""
        table = self._tables[name]
        return str(table.get("driver", "")) if isinstance(table, dict) else ""

    def targets_file(self, name: str) -> Path:
        """The file itself."""
        return self._path

    def recording(self, name: str) -> TargetReview | None:
        """Nothing is kept of one's own endpoints."""
        return None


class RecordedSource:
    """A finished review in a folder, replayed; BadInput where it is none."""

    is_live = False

    def __init__(self, folder: Path | str) -> None:
        self._review = read_review(Path(folder))
        self.identity = str(Path(folder).absolute())

    def __repr__(self) -> str:
        return f"RecordedSource({', '.join(self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        """The targets that were reviewed."""
        return tuple(target.name for target in self._review.targets)

    def driver(self, name: str) -> str:
        """The client library that was reviewed."""
        kept = self.recording(name)
        return "" if kept is None else kept.recommendation.driver

    def targets_file(self, name: str) -> Path:
        """There is nothing to measure."""
        raise BadInput(
            f"{name} is a recording and cannot be measured",
            f"set {VARIABLE} to lab or to the path of a targets.toml",
        )

    def recording(self, name: str) -> TargetReview | None:
        """What the review found of the target."""
        return next((each for each in self._review.targets if each.name == name), None)


def read_source(environment: Mapping[str, str] | None = None) -> Source:
    """What POOLKIT_SOURCE says: `lab` (default), `recorded`, or a targets.toml or review folder.

    Raises:
        BadInput: it is none of these, or the file cannot be read.
    """
    said = named(environment)
    if said == "lab":
        return LabSource()
    if said == "recorded":
        return RecordedSource(shared(RECORDED))
    return RecordedSource(said) if said.is_dir() else FileSource(said)


def is_page(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the notebook is served as a page (Voila)."""
    environment = os.environ if environment is None else environment
    return environment.get("SERVER_SOFTWARE", "").startswith("voila")


def leave_out_the_rest() -> None:
    """Have the cells after this one do nothing: what they are about has not been measured."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is not None:
        shell.input_transformers_cleanup.append(lambda lines: [])
