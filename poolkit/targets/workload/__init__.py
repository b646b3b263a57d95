"""What one call does, ready to run: the objects that the pool adapters are given."""

from poolkit.targets.statement import Statement
from poolkit.targets.workload.function import WorkFunction, load_function
from poolkit.targets.workload.values import NO_VALUES, Values, drawn_values
from poolkit.targets.workload.work import (
    HttpWork,
    RedisWork,
    SqlWork,
    http_work,
    redis_work,
    sql_work,
)

__all__ = [
    "NO_VALUES",
    "HttpWork",
    "RedisWork",
    "SqlWork",
    "Statement",
    "Values",
    "WorkFunction",
    "drawn_values",
    "http_work",
    "load_function",
    "redis_work",
    "sql_work",
]
