"""targets.toml -> Target: validated, every mistake told at once, secrets by reference."""

from poolkit.targets.file import load_targets
from poolkit.targets.target import (
    DATABASE_DRIVERS,
    HTTP_DRIVERS,
    SUPPORTED_DRIVERS,
    Driver,
    Target,
)

__all__ = [
    "DATABASE_DRIVERS",
    "HTTP_DRIVERS",
    "SUPPORTED_DRIVERS",
    "Driver",
    "Target",
    "load_targets",
]
