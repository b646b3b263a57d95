"""What the notebooks of the course share beside the panels: measurements, and what a cell shows.

found = await measured(Request("lab-http"))     # live or replayed, as POOLKIT_SOURCE says
curve = frames.trials(found.trials)             # a data frame, one row a trial
table(curve[["pool_size", "throughput"]], "The curve")
"""

from poolkit.workbook.fleet import fleet_of
from poolkit.workbook.measuring import borrowed, database_target, measured, one_of_each

__all__ = ["borrowed", "database_target", "fleet_of", "measured", "one_of_each"]
