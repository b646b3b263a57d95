"""targets.toml -> Target: validated, every mistake told at once, secrets by reference."""

from poolkit.drivers.table import DATABASE_DRIVERS, HTTP_DRIVERS, SUPPORTED_DRIVERS, Driver
from poolkit.targets.draws import Choice, Draw, Uniform, Value, Zipf
from poolkit.targets.file import load_targets
from poolkit.targets.headers import Header
from poolkit.targets.settings import READING_METHODS, Method
from poolkit.targets.statement import Statement
from poolkit.targets.target import Target

__all__ = [
    "DATABASE_DRIVERS",
    "HTTP_DRIVERS",
    "READING_METHODS",
    "SUPPORTED_DRIVERS",
    "Choice",
    "Draw",
    "Driver",
    "Header",
    "Method",
    "Statement",
    "Target",
    "Uniform",
    "Value",
    "Zipf",
    "load_targets",
]
