"""What changed between two review folders, as a table: plain functions for the review panel."""

from __future__ import annotations

from html import escape
from pathlib import Path

from poolkit.errors import PoolkitError
from poolkit.review.compare import Comparison, compare
from poolkit.review.export import RECOMMENDED, read_recommended, read_sizings
from poolkit.review.manifest import is_same_machine, read_manifest
from poolkit.show import charts, tables
from poolkit.units import listed, plural

DEEPEST = 2  # folders below the root that are looked into


def review_folders(root: Path) -> tuple[Path, ...]:
    """Folders at or below `root` that hold a review, the latest first."""
    found = []
    for depth in range(DEEPEST + 1):
        found += [file.parent for file in root.glob("*/" * depth + RECOMMENDED)]
    made = {folder: _created(folder) for folder in found}
    return tuple(
        sorted((f for f in found if made[f]), key=lambda f: (made[f], f.name), reverse=True)
    )


def _created(folder: Path) -> str:
    """When a review was made, ISO 8601; empty where its file cannot be read."""
    try:
        return read_recommended(folder).created
    except PoolkitError:
        return ""


def label(folder: Path, root: Path) -> str:
    """A folder as the lists of the panel name it: when it was made, and where it is."""
    name = folder.relative_to(root) if folder != root else Path(folder.name)
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
    return compare(
        earlier,
        later,
        caution,
        sizings_before=read_sizings(before, earlier),
        sizings_after=read_sizings(after, later),
    )


def sentence(comparison: Comparison) -> str:
    """What changed by more than noise, in one sentence."""
    larger = [
        difference
        for difference in comparison.differences
        if difference.is_larger_than_noise and difference.before != difference.after
    ]
    if not larger:
        return "Nothing changed by more than noise."
    targets = listed(list(dict.fromkeys(difference.target for difference in larger)))
    return f"{plural(len(larger), 'change')} larger than noise, in {targets}."


def words(comparison: Comparison) -> str:
    """Sentence, caution, chart and table."""
    caution = comparison.caution
    warned = f"<p><strong>Caution</strong>: {escape(caution)}.</p>" if caution else ""
    return (
        f'<p role="status">{escape(sentence(comparison))}</p>{warned}'
        f"{chart(comparison)}{tables.changes(comparison).html()}"
    )


def chart(comparison: Comparison) -> str:
    """Each figure against its old one as an <svg>; empty where none is a number on both sides."""
    if not charts.changes_shown(comparison):
        return ""
    axes, alt = charts.changes(comparison), charts.changes_alt(comparison)
    return f"<figure>{charts.inline_svg(axes, alt=alt, label='what-changed')}</figure>"
