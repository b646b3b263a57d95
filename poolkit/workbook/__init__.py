"""What the notebooks of the course do beside the panels: lessons, their figures and tables.

from poolkit.workbook import fleet, lessons, measured, pictures
found = await measured(Request("lab-http"))     # live or replayed, as POOLKIT_SOURCE says
pictures.time_budget(found)                     # one chart a claim
"""

from poolkit.workbook.measuring import measured

__all__ = ["measured"]
