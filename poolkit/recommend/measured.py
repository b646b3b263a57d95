"""What a probe of the target measured, in place of what poolkit would choose unmeasured."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.recommend.settings import names_set
from poolkit.records import Parameter, Recommendation
from poolkit.targets import Target


def with_measured(
    recommendation: Recommendation, target: Target, measured: Sequence[Parameter]
) -> Recommendation:
    """The recommendation with the measured values in their places, or behind the others.

    What targets.toml sets stays, because every trial ran with it; its reason then tells the
    measured value. So does a switch that the load itself showed to be needed: a probe that saw no
    end looked at idle connections only. Nothing changes where there are no parameters.
    """
    if not recommendation.parameters:
        return recommendation
    rows = {row.name: row for row in recommendation.parameters}
    kept = names_set(target)
    for row in measured:
        own = rows.get(row.name)
        was_needed = (
            own is not None
            and own.source == "measured"
            and own.value is True
            and row.value is False
        )
        if row.name not in kept and not was_needed:
            rows[row.name] = row
        elif row.value != rows[row.name].value:
            unit = f" {row.unit}" if row.unit else ""
            said = f"{rows[row.name].because}; poolkit probe finds {row.value}{unit}: {row.because}"
            rows[row.name] = rows[row.name].model_copy(update={"because": said})
    return recommendation.model_copy(update={"parameters": tuple(rows.values())})
