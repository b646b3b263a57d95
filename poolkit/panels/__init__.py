"""Panels for notebooks: live widgets in JupyterLab, the same as HTML wherever widgets cannot run.

from poolkit.panels import SweepPanel
panel = SweepPanel(target="lab-cpu").open()
panel                                   # on a line of its own, the last one of a cell
found = await panel.finished()          # in the next cell
"""

from poolkit.analysis.what_if import Question
from poolkit.panels.history import HistoryPanel
from poolkit.panels.request import Request
from poolkit.panels.review import ReviewPanel
from poolkit.panels.sources import FileSource, LabSource, RecordedSource, Source, read_source
from poolkit.panels.story import Findings
from poolkit.panels.sweep import SweepPanel
from poolkit.panels.what_if import WhatIfPanel

__all__ = [
    "FileSource",
    "Findings",
    "HistoryPanel",
    "LabSource",
    "Question",
    "RecordedSource",
    "Request",
    "ReviewPanel",
    "Source",
    "SweepPanel",
    "WhatIfPanel",
    "read_source",
]
