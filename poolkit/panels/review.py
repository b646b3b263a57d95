"""The review panel: pick two reviews, see what changed and whether it is more than noise."""

from __future__ import annotations

from html import escape
from pathlib import Path

from poolkit.errors import BadInput, PoolkitError
from poolkit.panels.panel import Panel, column, pages, piece
from poolkit.review.compare import Comparison, compare
from poolkit.review.export import RECOMMENDED, read_recommended, read_sizings
from poolkit.review.manifest import is_same_machine, read_manifest
from poolkit.show import charts, tables
from poolkit.units import listed, plural

DEEPEST = 3  # folders below the root that are looked into: a review's records are two below it


class ReviewPanel(Panel):
    """Compares two review folders below one root.

    In JupyterLab the two are picked from lists; wherever widgets cannot run the comparison is shown
    as HTML. Methods may be called from any thread.

    State: the two folders, their comparison or why there is none, the view.

    Args:
        root: folder whose reviews are offered.
        before, after: the two compared first; the two latest where None.
    """

    def __init__(
        self,
        root: Path | str = "data/reviews",
        before: Path | str | None = None,
        after: Path | str | None = None,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self._comparison: Comparison | None = None
        self.folders = review_folders(self.root)
        latest = [*self.folders[:2][::-1], None, None]
        self.before = latest[0] if before is None else Path(before)
        self.after = latest[1] if after is None else Path(after)
        self.guarded(self._compare)

    def __repr__(self) -> str:
        if self._comparison is None:
            return f"ReviewPanel: {self._problem}"
        return f"ReviewPanel: {sentence(self._comparison)}"

    def compare(self, before: Path | str, after: Path | str) -> Comparison:
        """Compare these two from now on.

        Raises:
            BadInput: one of them is no review, or they are the same.
        """
        with self._lock:
            self.before, self.after = Path(before), Path(after)
            self.guarded(self._compare)
        return self.result()

    def refresh(self) -> None:
        """Look for reviews again; two that were missing are taken as soon as they are there."""
        with self._lock:
            self.folders = review_folders(self.root)
            if (self.before is None or self.after is None) and len(self.folders) > 1:
                self.after, self.before = self.folders[:2]
            self.guarded(self._compare)

    def result(self) -> Comparison:
        """The comparison; raises why there is none."""
        if self._problem is not None or self._comparison is None:
            raise self._problem or BadInput("nothing is compared yet", "pick two reviews")
        return self._comparison

    def page(self) -> str:
        """Which two, and what changed, or why that cannot be said."""
        if self._comparison is None or self._problem is not None:
            return self.problem_html()
        return words(self._comparison)

    def _make_view(self) -> _ReviewView:
        return _ReviewView(self)

    def _show(self) -> None:
        if self._view is not None:
            self._view.show()

    def _compare(self) -> None:
        self._comparison = None
        if self.before is None or self.after is None:
            raise BadInput(
                f"{self.root.name} holds {len(self.folders)} reviews, two are needed",
                "make one with: poolkit review --targets FILE --out FOLDER",
            )
        if self.before.resolve() == self.after.resolve():
            raise BadInput("both are the same review", "pick another one")
        self._comparison = changed(self.before, self.after)


class _ReviewView:
    """The two lists, and what they lead to."""

    def __init__(self, panel: ReviewPanel) -> None:
        import ipywidgets

        self._panel = panel
        self._is_listing = False
        layout = {"width": "auto", "max_width": "36rem"}
        self.before, self.after = (
            ipywidgets.Dropdown(description=name, layout=layout) for name in ("Earlier", "Later")
        )
        self.refresh = ipywidgets.Button(
            description="Look again", tooltip="Look for reviews that were made meanwhile"
        )
        (self.page,) = pages(1)
        for choice in (self.before, self.after):
            choice.observe(self._chosen, names="value")
        self.refresh.on_click(lambda _: panel.refresh())
        self.box = column(self.before, self.after, self.refresh, self.page)
        self.show()

    def show(self) -> None:
        """Put the folders that there are into the lists, and the comparison on the page."""
        panel = self._panel
        self._is_listing = True
        try:
            for choice, chosen in ((self.before, panel.before), (self.after, panel.after)):
                folders = list(panel.folders)
                if chosen is not None and chosen not in folders:
                    folders.append(chosen)
                options = tuple((label(folder, panel.root), folder) for folder in folders)
                if choice.options != options:
                    choice.options = options
                choice.value = chosen
        finally:
            self._is_listing = False
        self.page.value = piece(panel.page())

    def _chosen(self, _change: object) -> None:
        if not self._is_listing:
            before, after = self.before.value, self.after.value
            self._panel.guarded(lambda: self._panel.compare(before, after))


def review_folders(root: Path) -> tuple[Path, ...]:
    """Folders at or below `root` that hold a review, the latest first."""
    files = [file for depth in range(DEEPEST + 1) for file in root.glob("*/" * depth + RECOMMENDED)]
    made = {file.parent: _created(file.parent) for file in files}
    readable = (folder for folder, created in made.items() if created)
    return tuple(sorted(readable, key=lambda folder: (made[folder], folder.name), reverse=True))


def _created(folder: Path) -> str:
    """When a review was made, ISO 8601; empty where its file cannot be read."""
    try:
        return read_recommended(folder).created
    except PoolkitError:
        return ""


def label(folder: Path, root: Path) -> str:
    """A folder as the lists of the panel name it: when it was made, and where it is."""
    is_below = folder != root and root in folder.parents
    name = folder.relative_to(root) if is_below else folder.name
    return f"{_created(folder)[:16].replace('T', ' ')}  {name}"


def changed(before: Path, after: Path) -> Comparison:
    """What changed from one review folder to the other.

    Raises:
        BadInput: one of them is no review of this version.
    """
    caution = ""
    try:
        if not is_same_machine(read_manifest(before).host, read_manifest(after).host):
            caution = "they ran on different kinds of machines: differences may be the machine's"
    except PoolkitError:
        caution = "one of them has no manifest, so they may have run on different machines"
    earlier, later = read_recommended(before), read_recommended(after)
    sizings = read_sizings(before, earlier), read_sizings(after, later)
    return compare(earlier, later, caution, sizings_before=sizings[0], sizings_after=sizings[1])


def sentence(comparison: Comparison) -> str:
    """What changed by more than noise, in one sentence."""
    larger = [d for d in comparison.differences if d.is_larger_than_noise and d.before != d.after]
    if not larger:
        return "Nothing changed by more than noise."
    targets = listed(list(dict.fromkeys(difference.target for difference in larger)))
    return f"{plural(len(larger), 'change')} larger than noise, in {targets}."


def words(comparison: Comparison) -> str:
    """Sentence, caution, chart (where a figure is a number on both sides) and table."""
    caution = comparison.caution
    warned = f"<p><strong>Caution</strong>: {escape(caution)}.</p>" if caution else ""
    chart = ""
    if charts.changes_shown(comparison):
        axes, alt = charts.changes(comparison), charts.changes_alt(comparison)
        chart = f"<figure>{charts.inline_svg(axes, alt=alt, label='what-changed')}</figure>"
    return (
        f'<p role="status">{escape(sentence(comparison))}</p>{warned}'
        f"{chart}{tables.changes(comparison).html()}"
    )
