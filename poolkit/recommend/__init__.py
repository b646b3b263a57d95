"""From a sizing to the parameters of the client library, each with its reason."""

from poolkit.recommend.assemble import failed, parameters, recommend, unreachable
from poolkit.recommend.measured import with_measured

__all__ = ["failed", "parameters", "recommend", "unreachable", "with_measured"]
