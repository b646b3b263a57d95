"""The review panel: pick two reviews, see what changed and whether it is more than noise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from poolkit.errors import BadInput, PoolkitError
from poolkit.panels import review_page
from poolkit.panels.look import alert, framed
from poolkit.review.compare import Comparison


class ReviewPanel:
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
        self.root = Path(root)
        self.folders = review_page.review_folders(self.root)
        latest = [*self.folders[:2][::-1], None, None]
        self.before = Path(before) if before is not None else latest[0]
        self.after = Path(after) if after is not None else latest[1]
        self._lock = threading.RLock()
        self._view: Any = None
        self._problem: Exception | None = None
        self._comparison: Comparison | None = None
        self.guarded(self._compare)

    def __repr__(self) -> str:
        if self._comparison is None:
            return f"ReviewPanel: {self._problem}"
        return f"ReviewPanel: {review_page.sentence(self._comparison)}"

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
            self.folders = review_page.review_folders(self.root)
            if (self.before is None or self.after is None) and len(self.folders) > 1:
                self.after, self.before = self.folders[:2]
            self.guarded(self._compare)

    def result(self) -> Comparison:
        """The comparison; raises why there is none."""
        if self._problem is not None or self._comparison is None:
            raise self._problem or BadInput("nothing is compared yet", "pick two reviews")
        return self._comparison

    def html(self) -> str:
        """The panel without widgets."""
        return framed(self.page())

    def page(self) -> str:
        """Which two, and what changed, or why that cannot be said."""
        problem = self._problem
        if isinstance(problem, PoolkitError):
            return alert(problem.cause, problem.remedy)
        if problem is not None:
            return alert(f"{type(problem).__name__}: {problem}", "result() raises it again")
        assert self._comparison is not None
        return review_page.words(self._comparison)

    def guarded(self, action: Callable[[], object]) -> None:
        """Carry out a choice; what it raises is shown, and kept for `result`."""
        with self._lock:
            self._problem = None
            try:
                action()
            except Exception as error:
                self._problem = error
            if self._view is not None:
                self._view.show()

    def widget(self) -> Any:
        """The live widget; ImportError where ipywidgets is not installed."""
        from poolkit.panels.review_view import ReviewView

        with self._lock:
            if self._view is None:
                self._view = ReviewView(self)
        return self._view.box

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        from poolkit.panels.mime import bundle

        return bundle(self.widget, self.html, repr(self))

    def _compare(self) -> None:
        self._comparison = None
        if self.before is None or self.after is None:
            raise BadInput(
                f"{self.root.name} holds {len(self.folders)} reviews, two are needed",
                "make one with: poolkit review --targets FILE --out FOLDER",
            )
        if self.before.resolve() == self.after.resolve():
            raise BadInput("both are the same review", "pick another one")
        self._comparison = review_page.changed(self.before, self.after)
