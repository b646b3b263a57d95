"""The files of a review: recommended.json, .csv and .md, pools.py; and how they are read again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from poolkit.errors import BadInput
from poolkit.measure.store import now, reason, write_atomic
from poolkit.records import Recommendation, RecommendedFile, Sizing
from poolkit.review import codegen, documents
from poolkit.targets import Target

RECOMMENDED = "recommended.json"


def write_recommended(
    out: Path,
    recommendations: Sequence[Recommendation],
    targets: Sequence[Target] = (),
    *,
    created: str | None = None,
) -> tuple[Path, ...]:
    """Write recommended.json, .csv and .md and pools.py; returns their paths.

    Args:
        targets: tell the URL, the host and the name of the DSN's variable; no password is read.
        created: ISO 8601, UTC; now by default.
    """
    created = now() if created is None else created
    texts = {
        RECOMMENDED: documents.to_json(recommendations, created),
        "recommended.csv": documents.to_csv(recommendations),
        "recommended.md": documents.to_markdown(recommendations, created, targets),
        "pools.py": codegen.render(recommendations, targets, created),
    }
    for name, text in texts.items():
        write_atomic(out / name, text)
    return tuple(out / name for name in texts)


def read_recommended(path: Path) -> RecommendedFile:
    """The recommended.json at `path`, a folder or the file itself.

    Raises:
        BadInput: there is none, or it is not one of this version.
    """
    file = path / RECOMMENDED if path.is_dir() else path
    try:
        return RecommendedFile.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadInput(
            f"{file} cannot be read: {reason(error)}", "name the folder of a finished review"
        ) from error
    except ValidationError as error:
        raise BadInput(
            f"{file} is not a poolkit.recommended/1 document", "make it again with: poolkit review"
        ) from error


def read_sizings(folder: Path, written: RecommendedFile) -> dict[str, Sizing]:
    """The curves that a review was made from, by target; without those of another version."""
    found = {}
    for entry in written.targets:
        with contextlib.suppress(OSError, ValidationError):
            text = (folder / f"{entry.target}.sizing.json").read_bytes()
            found[entry.target] = Sizing.model_validate_json(text)
    return found
