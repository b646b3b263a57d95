"""The review panel's widgets: two lists and one piece of page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets

from poolkit.panels import review_page
from poolkit.panels.look import STYLE, piece

if TYPE_CHECKING:
    from poolkit.panels.review import ReviewPanel


class ReviewView:
    """The lists and what they lead to; shown as often as one likes."""

    def __init__(self, panel: ReviewPanel) -> None:
        self._panel = panel
        self._is_listing = False
        self.before, self.after = self._list("Earlier"), self._list("Later")
        self.refresh = widgets.Button(
            description="Look again", tooltip="Look for reviews that were made meanwhile"
        )
        self.page = widgets.HTML(layout=widgets.Layout(width="auto", max_width="60rem"))
        for choice in (self.before, self.after):
            choice.observe(self._chosen, names="value")
        self.refresh.on_click(lambda _: panel.refresh())
        self.box = widgets.VBox(
            [
                widgets.HTML(STYLE, layout=widgets.Layout(display="none")),
                *(self.before, self.after, self.refresh, self.page),
            ],
            layout=widgets.Layout(width="100%", overflow="hidden"),
        )
        self.show()

    def _list(self, description: str) -> widgets.Dropdown:
        return widgets.Dropdown(
            description=description, layout=widgets.Layout(width="36rem", max_width="100%")
        )

    def show(self) -> None:
        """Put the folders that there are into the lists, and the comparison on the page."""
        panel = self._panel
        self._is_listing = True
        try:
            for choice, chosen in ((self.before, panel.before), (self.after, panel.after)):
                folders = list(panel.folders)
                if chosen is not None and chosen not in folders:
                    folders.append(chosen)
                options = tuple((_label(folder, panel.root), folder) for folder in folders)
                if choice.options != options:
                    choice.options = options
                choice.value = chosen
        finally:
            self._is_listing = False
        self.page.value = piece(panel.page())

    def _chosen(self, _change: object) -> None:
        if self._is_listing:
            return
        panel = self._panel

        def take() -> None:
            panel.compare(self.before.value, self.after.value)

        panel.guarded(take)


def _label(folder: Path, root: Path) -> str:
    inside = folder == root or root in folder.parents
    return review_page.label(folder, root if inside else folder.parent)
