"""What a table of figures rests on: the day, the machine and the code that made it."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from poolkit.review.manifest import host_facts

ROOT = Path(__file__).resolve().parents[2]


def caption() -> str:
    """Date, processor, cores, Python and commit, as a table's caption."""
    host = host_facts()
    cores = "1 core" if host.cores == 1 else f"{host.cores} cores"
    return (
        f"{datetime.now(UTC).date().isoformat()}; {host.cpu}, {cores}; "
        f"Python {platform.python_version()}; commit {_commit()}"
    )


def hash_of_code(root: Path = ROOT / "poolkit") -> str:
    """Changes with any line of the package: figures of other code are other figures."""
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(str(path.relative_to(root)).encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _commit() -> str:
    """The commit of the working tree, marked where files differ from it; unknown outside of git."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()
