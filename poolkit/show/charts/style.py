"""The house style: colours, weights and text sizes, all in one place.

Colours are of the Okabe-Ito palette, which people with any kind of colour vision can tell apart;
every series also differs by marker, dash or a label of its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Final

import matplotlib as mpl

BLUE: Final = "#0072b2"  # what was measured: throughput, hold time
VERMILION: Final = "#c95300"  # what is asked for, and waiting (a shade darker, to be read as text)
GREEN: Final = "#00795a"  # what is recommended (likewise)
PURPLE_INK: Final = "#a03a7a"  # what was seen by connections in use (likewise)
AMBER: Final = "#855700"  # what is recommended, but in doubt
INK: Final = "#222222"
MUTED: Final = "#5c5c5c"
FAINT: Final = "#9a9a9a"
PAPER: Final = "#fefefe"  # behind markers, so that a hollow one is hollow in the dark, too

YELLOW: Final = "#e69f00"
PURPLE: Final = "#cc79a7"
# The parts of a call, in the order in which they happen: colour and hatch.
PARTS: Final = {
    "lag": (FAINT, "--"),
    "wait": (VERMILION, "//"),
    "dial": (YELLOW, "xx"),
    "service": (BLUE, ""),
    "release": (PURPLE, "\\\\"),
}

UNDERSIZED: Final = "#e69f00"
RIGHT_SIZE: Final = "#009e73"
OVERSIZED: Final = "#7570b3"
REGION_ALPHA: Final = 0.13

# Colour -> the property by which a page may set it, so that an inline chart follows its light or
# dark theme; and the same on dark paper, for a picture that no page can theme (the report's and
# JupyterLab's style sheets say the same).
_THEMED = {
    BLUE: ("--pk-blue", "#6bb8ea"),
    VERMILION: ("--pk-vermilion", "#f0955c"),
    GREEN: ("--pk-green", "#4fc79f"),
    AMBER: ("--pk-amber", "#e6b450"),
    PURPLE_INK: ("--pk-purple", "#e29bc4"),
    INK: ("--pk-ink", "#e4e4e4"),
    MUTED: ("--pk-muted", "#b3b3b3"),
    FAINT: ("--pk-faint", "#8a8a8a"),
    PAPER: ("--pk-paper", "#16181a"),
}
THEME: Final = {colour: name for colour, (name, _) in _THEMED.items()}
DARK: Final = {colour: dark for colour, (_, dark) in _THEMED.items()}

TITLE_SIZE: Final = 12.5  # points
TITLE: Final[Any] = {"fontsize": TITLE_SIZE, "fontweight": "bold", "linespacing": 1.25}
LABEL_SIZE: Final = 9.5
NOTE_SIZE: Final = 8.0
FIGURE_SIZE: Final = (9.0, 7.0)  # inches
DPI: Final = 100

RC: Final[Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same chart on every machine
    "font.size": LABEL_SIZE,
    "axes.facecolor": "none",  # the page's own paper, light or dark
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.9,
    "xaxis.labellocation": "left",
    "legend.frameon": False,
    "legend.fontsize": LABEL_SIZE - 0.5,
    "legend.handlelength": 1.7,
    "legend.handletextpad": 0.6,
    "legend.labelspacing": 0.45,
    "legend.borderaxespad": 0.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "hatch.linewidth": 0.8,
    "text.hinting": "none",  # so that a text is as wide in the file as when it was placed
    "svg.hashsalt": "poolkit",
    "svg.fonttype": "path",
    "path.simplify": False,
}

_DRAWING = threading.RLock()


@contextlib.contextmanager
def house() -> Iterator[None]:
    """matplotlib's settings as this style has them, while one thread at a time draws.

    The settings are global: two threads that set and restored them side by side would leave those
    of the other behind.
    """
    with _DRAWING, mpl.rc_context(RC):
        yield
