"""Audit the judged packages again: precision, and lines per second.

Downloads them (a gigabyte without their dependencies) into build/audit-corpus once.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from poolkit.audit import audit

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "build" / "audit-corpus"
JUDGED = json.loads((ROOT / "tests/audit/judged.json").read_text(encoding="utf-8"))


def fetch(package):
    if not (CORPUS / package["folder"]).is_dir():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
             "--disable-pip-version-check", "--target", str(CORPUS),
             f"{package['package']}=={package['version']}"],
            check=True,
        )  # fmt: skip


def main():
    lines, seconds, surprises = 0, 0.0, 0
    verdicts = {"true": 0, "rare": 0, "wrong": 0}
    print(f"{'package':28} {'lines':>10} {'findings':>9} {'new':>5} {'gone':>5}")
    for package in JUDGED:
        fetch(package)
        began = time.perf_counter()
        found = audit([CORPUS / package["folder"]])
        seconds += time.perf_counter() - began
        lines += found.lines
        seen = {
            (f.rule, Path(f.path).relative_to(CORPUS).as_posix(), f.line) for f in found.findings
        }
        judged = {(f["rule"], f["file"], f["line"]): f["verdict"] for f in package["findings"]}
        for place in seen & set(judged):
            verdicts[judged[place]] += 1
        new, gone = len(seen - set(judged)), len(set(judged) - seen)
        surprises += new + gone
        print(f"{package['package']:28} {found.lines:>10,} {len(seen):>9} {new:>5} {gone:>5}")
    total = sum(verdicts.values())
    print(f"{total} findings: {verdicts} (rare: true, in code that seldom runs)")
    print(f"{100_000 * seconds / lines:.1f} s for 100,000 lines (<= 10)")
    return int(surprises > 0 or 100_000 * seconds / lines > 10)


if __name__ == "__main__":
    sys.exit(main())
