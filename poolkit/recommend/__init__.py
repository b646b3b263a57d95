"""From a sizing to the parameters of the client library, each with its reason."""

from poolkit.recommend.assemble import (
    failed,
    parameters,
    parameters_of_trials,
    recommend,
    unreachable,
)

__all__ = ["failed", "parameters", "parameters_of_trials", "recommend", "unreachable"]
