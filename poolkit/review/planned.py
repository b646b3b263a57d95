"""What a kept review says of demand to come: its trials fitted anew, as what-ifs are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pydantic import ValidationError

from poolkit.analysis.outlook import Outlook, outlook
from poolkit.analysis.weekly import WeeklyPeaks
from poolkit.analysis.what_if import Planner
from poolkit.errors import BadInput
from poolkit.measure.resume import is_of_question
from poolkit.measure.store import TrialLog
from poolkit.records import APART, Recommendation, Sweep, Trial
from poolkit.review.kept import CURVE
from poolkit.review.trend import Kept
from poolkit.targets.objective import Objective

_ITSELF = "name the folder of that review itself, before others; or review it again"
# The demand of those of the targets shown for which it is known; BadInput where that is unclear.
DemandOf = Callable[[Sequence[str]], Mapping[str, WeeklyPeaks]]


def outlook_of(kept: Kept, demand: WeeklyPeaks) -> Outlook | str:
    """When the size of a target's newest review runs out; or why that cannot be said."""
    r = kept.recommendation
    if r.recommended_size is None:
        return "its newest review recommends no size"
    asked = _asked(kept)
    if asked is None:
        return "its newest review has no manifest, which tells how many pools there are"
    try:
        trials = _trials(kept, asked)
    except BadInput as error:
        return f"{error.cause}; {_ITSELF}"
    if not trials:
        return f"its newest review holds no trials, as records of older versions do not; {_ITSELF}"
    planner = Planner.of(Sweep(target=r.target, trials=trials), asked)
    return outlook(demand, planner, r.recommended_size, asked.rate if r.is_verified else None)


def _asked(kept: Kept) -> Objective | None:
    """What was asked of the target then; None where that is not known."""
    if kept.settings is None:
        return None
    told = _of_recommendation(kept.recommendation) | dict(kept.settings)
    known = {key: value for key, value in told.items() if key in Objective.model_fields}
    try:
        return Objective.model_validate(known)
    except ValidationError:
        return None


def _of_recommendation(r: Recommendation) -> dict[str, float]:
    found = {
        "target_rate": r.target_rate, "wait_p99": r.wait_p99, "response_p99": r.response_p99
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _trials(kept: Kept, asked: Objective) -> tuple[Trial, ...]:
    """Those that the size rests on, of a record or of a review's own folder."""
    if kept.folder is None:
        return ()
    name = kept.target
    found = (
        TrialLog(kept.folder / file).read() for file in (f"{name}{CURVE}", f"{name}.trials.jsonl")
    )
    trials = next(filter(None, found), [])
    return tuple(t for t in trials if t.purpose not in APART and is_of_question(t, asked))
