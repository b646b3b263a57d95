"""What the notebooks of the course share beside the panels: measurements, and what a cell shows.

found = await measured(Request("lab-http"))     # live or replayed, as POOLKIT_SOURCE says
curve = frames.trials(found.trials)             # a data frame, one row a trial
table(curve[["pool_size", "throughput"]], "The curve")
"""

from poolkit.workbook.measuring import database_target, measured, one_of_each

__all__ = ["database_target", "measured", "one_of_each"]
