"""What a panel hands to whoever displays it: a live widget, and the same as HTML and text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"


def bundle(widget: Callable[[], Any], html: Callable[[], str], words: str) -> dict[str, Any]:
    """The MIME bundle of a panel; without ipywidgets its static forms alone."""
    shown: dict[str, Any] = {"text/plain": words, "text/html": html()}
    try:
        live = widget()
    except ImportError:
        return shown
    shown[VIEW] = {"version_major": 2, "version_minor": 0, "model_id": live.model_id}
    return shown
