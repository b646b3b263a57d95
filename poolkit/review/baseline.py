"""What a review that has just been made is held against: the latest before it that compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from poolkit.review.before import BEFORE
from poolkit.review.history import read_folder
from poolkit.review.kept import place, records
from poolkit.review.trend import Kept, Skipped, Trend, cautions, trend


def with_baseline(
    out: Path,
    names: Sequence[str],
    since: Path | None,
    store: Path | None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Trend]:
    """Each of these targets in the review's folder `out`, as a trend of its baseline and itself.

    Of itself alone where it has none. Without `since` the baseline is the latest record, of the
    store or of the folder's own, that may be compared; or else the latest, and why it may not.

    Args:
        since: folder of the earlier review to hold it against.
        say: told what was skipped on the way.
    """
    skipped: list[Skipped] = []
    now = {kept.target: kept for kept in read_folder(out, skipped) if kept.target in names}
    folders: Iterable[Path]
    if since is not None:
        folders = [since]
    else:
        former = [*([] if store is None else records(store)), *records(out / BEFORE)]
        folders = sorted(former, key=place, reverse=True)
    found: dict[str, Kept] = {}
    wanted = set(now)
    for folder in folders:
        if not wanted:
            break
        for earlier in read_folder(folder, skipped):
            name = earlier.target
            # A record of this review itself is none of before.
            if name in wanted and (since or earlier.measured < now[name].measured):
                found.setdefault(name, earlier)
                if not any(cautions(earlier, now[name])):
                    found[name] = earlier
                    wanted.discard(name)
    for one in skipped:
        say(f"skipped {one.path}: {one.cause}; {one.remedy}")
    return {
        name: trend([*([found[name]] if name in found else []), kept]) for name, kept in now.items()
    }
