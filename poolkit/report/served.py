"""A service before and after other pool parameters, where a review's folder keeps both."""

from __future__ import annotations

from html import escape

from poolkit.report import pictures
from poolkit.show import charts
from poolkit.show.before_after import ServiceComparison

_CAPTION = "Measured on the running service, with the same arrivals; waits are means."


def served_html(service: ServiceComparison) -> str:
    """A chart of what callers felt and pools did, and its figures."""
    alt = charts.before_after_alt(service)
    drawn = pictures.figure(charts.before_after(service), alt, "service", _CAPTION)
    heading = '<h3 id="service">The service before and after</h3>'
    table = service.table()
    folded = f"<details><summary>{escape(table.caption)}</summary>\n{table.html()}</details>"
    return f"{heading}\n{drawn}\n{folded}"


def served_words(service: ServiceComparison) -> str:
    """The same in plain words."""
    return f"{charts.before_after_finding(service)}.\n\n{service.table().markdown()}"
