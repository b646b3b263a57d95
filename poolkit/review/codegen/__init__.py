"""pools.py: ready code for every recommended pool, the reason of each value beside it."""

from poolkit.review.codegen.module import render

__all__ = ["render"]
