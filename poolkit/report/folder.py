"""A review folder as one frozen record: what the report and the notebooks read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError

from poolkit.errors import BadInput
from poolkit.measure.resume import is_of_question
from poolkit.measure.store import TrialLog, read_record
from poolkit.probes import Probe, read
from poolkit.recommend.checks import is_without_gate
from poolkit.records import APART, Recommendation, Record, Sizing, Trial
from poolkit.review.adding import read_known
from poolkit.review.compare import Comparison
from poolkit.review.history import HISTORY_FILE
from poolkit.review.manifest import MANIFEST, Manifest, read_manifest
from poolkit.review.trend import History
from poolkit.show import words
from poolkit.show.before_after import SERVICE, ServiceComparison
from poolkit.targets.objective import Objective

SINCE = "since.json"
R = TypeVar("R", bound=Record)


class Settings(Objective):
    """A target's public settings, as manifest.json keeps them; the other keys are left out."""

    model_config = ConfigDict(extra="ignore")

    endpoint: str = ""


class TargetReview(Record):
    """Everything that a review knows of one target."""

    recommendation: Recommendation
    sizing: Sizing | None
    trials: tuple[Trial, ...]
    settings: Settings
    probe: Probe | None = None  # of its idle connections, where `poolkit probe` left one here

    @property
    def name(self) -> str:
        """The target's name."""
        return self.recommendation.target

    @property
    def anchor(self) -> str:
        """The id of the target's section in a report."""
        return f"target-{self.name}"

    @property
    def finding(self) -> str:
        """The finding as a sentence: the title of its section and of its chart."""
        return words.finding(self.sizing, self.recommendation, self.trials, self.settings.pools)

    @property
    def unfit(self) -> list[Trial]:
        """Trials that are a doubt; one that left the gate out to show what happens is none."""
        return [t for t in self.trials if not t.is_usable and not is_without_gate(t)]


class Review(Record):
    """A review folder, read; `manifest` is None where the review was cut off before its end."""

    created: str
    targets: tuple[TargetReview, ...]
    manifest: Manifest | None = None
    comparison: Comparison | None = None  # with an earlier review, where one was named
    history: History | None = None  # with the records of before, where there are any
    service: ServiceComparison | None = None  # before and after, where it was measured

    @property
    def versions(self) -> dict[str, str]:
        """Versions of what took part; empty where that is not known."""
        return self.manifest.versions if self.manifest else {}


def read_review(path: Path) -> Review:
    """The review in the folder `path`.

    Raises:
        BadInput: it is no review folder, or a file of it is not of this version.
    """
    written = read_known(path)
    manifest = read_manifest(path) if (path / MANIFEST).exists() else None
    probes = read(path)
    public = manifest.targets if manifest else {}
    targets = []
    for r in written.targets:
        trials = TrialLog(path / f"{r.target}.trials.jsonl").read()
        settings, probe = _settings(r, public.get(r.target, {})), probes.get(r.target)
        target = TargetReview(
            recommendation=r,
            sizing=_optional(Sizing, path / f"{r.target}.sizing.json"),
            # Without a manifest the number of pools is not known.
            trials=tuple(
                t
                for t in trials
                # Those in which pools began, went or came stand in the recommendation.
                if t.purpose not in APART
                and (r.target not in public or is_of_question(t, settings))
            ),
            settings=settings,
            probe=probe if probe and _is_of(probe, r, settings) else None,
        )
        targets.append(target)
    return Review(
        created=written.created,
        manifest=manifest,
        comparison=_optional(Comparison, path / SINCE),
        history=_optional(History, path / HISTORY_FILE),
        service=_optional(ServiceComparison, path / SERVICE),
        targets=tuple(targets),
    )


def _is_of(probe: Probe, recommendation: Recommendation, settings: Settings) -> bool:
    """Not of another endpoint under the same name."""
    is_same = not settings.endpoint or probe.endpoint == settings.endpoint
    return is_same and probe.driver == recommendation.driver


def _optional(kind: type[R], file: Path) -> R | None:
    """The record in `file`, or None where there is no such file."""
    if not file.exists():
        return None
    return read_record(kind, file, "make it again with: poolkit review")


def _settings(recommendation: Recommendation, public: dict[str, Any]) -> Settings:
    asked = ("target_rate", "wait_p99", "response_p99")
    known = {key: value for key in asked if (value := getattr(recommendation, key)) is not None}
    try:
        return Settings.model_validate({**known, **public})
    except ValidationError as error:
        raise BadInput(
            f"{MANIFEST} does not tell the settings of {recommendation.target}",
            "make it again with: poolkit review",
        ) from error
