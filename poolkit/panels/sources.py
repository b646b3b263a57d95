"""Where a panel's figures come from: the embedded lab, a targets.toml, or a recorded review.

A notebook that Voila serves as a page sends no load when it is opened.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from poolkit.errors import BadInput, PoolkitError
from poolkit.lab.catalogue import CATALOGUE
from poolkit.lab.running import Lab
from poolkit.report.folder import TargetReview, read_review
from poolkit.report.source import RECORDED, VARIABLE, named, shared
from poolkit.report.temporary import lasting_folder
from poolkit.targets import load_targets
from poolkit.targets.objective import Objective
from poolkit.targets.reading import read_toml


class Source:
    """Targets to pick from; what is not live has recordings in place of endpoints.

    Args:
        identity: what two objects have in common that stand for one source.
        drivers: name of a target -> its client library; empty where the target does not say.
    """

    is_live = False  # whether its targets can be measured now

    def __init__(self, identity: str, drivers: Mapping[str, str]) -> None:
        self.identity = identity
        self.drivers = drivers

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets, in order."""
        return tuple(self.drivers)

    def targets_file(self, name: str) -> Path:
        """A targets.toml that holds the target, its endpoint ready; it may take seconds.

        Raises:
            BadInput: there is nothing to measure.
        """
        raise BadInput(
            f"{name} is a recording and cannot be measured",
            f"set {VARIABLE} to lab or to the path of a targets.toml",
        )

    def asked(self, name: str) -> Objective | None:
        """What the target asks, without a look at its endpoint; None where that is not known."""
        recording = self.recording(name)
        return None if recording is None else recording.settings

    def recording(self, name: str) -> TargetReview | None:
        """What was found of the target before; None where nothing is kept, as of one's own."""
        return None


class LabSource(Source):
    """The embedded lab; an upstream starts when it is first measured and ends with this process."""

    is_live = True

    def __init__(self) -> None:
        super().__init__("lab", {name: target.driver for name, target in CATALOGUE.items()})

    def __repr__(self) -> str:
        return "LabSource()"

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

    def asked(self, name: str) -> Objective:
        """What its service asks."""
        known = CATALOGUE[name]
        return Objective(
            target_rate=known.target_rate, wait_p99=known.wait_p99, max_size=known.max_size
        )

    def recording(self, name: str) -> TargetReview | None:
        """The recording that comes with the project, where it is installed."""
        try:
            return RecordedSource(shared(RECORDED)).recording(name)
        except BadInput:
            return None


# Upstreams of this process, shared by its panels: name -> targets.toml.
_running: dict[str, Path] = {}
_starting = threading.Lock()


class FileSource(Source):
    """The targets of a targets.toml; BadInput where the file cannot be read.

    Whether they are right shows when one is measured.
    """

    is_live = True

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path).absolute()
        tables = read_toml(self._path).get("targets", {})
        tables = tables.items() if isinstance(tables, dict) else ()
        super().__init__(
            str(self._path),
            {name: str(t.get("driver", "")) if isinstance(t, dict) else "" for name, t in tables},
        )

    def __repr__(self) -> str:
        return f"FileSource({self._path.name})"

    def targets_file(self, name: str) -> Path:
        """The file itself."""
        return self._path

    def asked(self, name: str) -> Objective | None:
        """What its table says now; None where that is not right, which measuring it will tell."""
        try:
            return load_targets(self._path, (name,))[name]
        except PoolkitError:
            return None


class RecordedSource(Source):
    """A finished review in a folder, replayed; BadInput where it is none."""

    def __init__(self, folder: Path | str) -> None:
        self._reviews = {review.name: review for review in read_review(Path(folder)).targets}
        drivers = {name: review.recommendation.driver for name, review in self._reviews.items()}
        super().__init__(str(Path(folder).absolute()), drivers)

    def __repr__(self) -> str:
        return f"RecordedSource({', '.join(self.names)})"

    def recording(self, name: str) -> TargetReview | None:
        """What the review found of the target."""
        return self._reviews.get(name)


def read_source(environment: Mapping[str, str] | None = None) -> Source:
    """What POOLKIT_SOURCE says: `lab` (default), `recorded`, or a targets.toml or review folder.

    Raises:
        BadInput: it is none of these, or the file cannot be read.
    """
    source = named(environment)
    if source == "lab":
        return LabSource()
    if source == "recorded":
        return RecordedSource(shared(RECORDED))
    return RecordedSource(source) if source.is_dir() else FileSource(source)


def is_page(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the notebook is served as a page (Voila)."""
    environment = os.environ if environment is None else environment
    return environment.get("SERVER_SOFTWARE", "").startswith("voila")


def notebook_shell() -> Any:
    """The IPython shell that runs this cell; None outside a notebook."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def leave_out_the_rest() -> None:
    """Have the cells after this one do nothing: what they are about has not been measured."""
    shell = notebook_shell()
    if shell is not None:
        shell.input_transformers_cleanup.append(lambda lines: [])
