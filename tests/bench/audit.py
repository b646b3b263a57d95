"""Audit the judged files again: precision, recall, and lines per second.

Each file was taken at random and read before the audit ran on it (those of samples 4 to 6 mostly as
excerpts); `judged.json` holds what the reader and the audit found in it. The packages are
downloaded (without their dependencies) into build/audit-corpus once; a package is audited as a
whole, and only its judged files are counted.

    python -m tests.bench.audit [PACKAGE ...]     all packages, or those that are named
"""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from poolkit.audit import audit

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "build" / "audit-corpus"
JUDGED = json.loads((ROOT / "tests/audit/judged.json").read_text(encoding="utf-8"))


def fetch(package):
    """The folder of a package, downloaded where it is not there."""
    folder = CORPUS / package["package"]
    if not folder.is_dir():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:",
             "--disable-pip-version-check", "--ignore-requires-python", "--no-compile",
             "--target", str(folder), f"{package['package']}=={package['version']}"],
            check=True,
        )  # fmt: skip
    return folder


def rate(part, rest):
    """A share in words; of nothing there is none."""
    return f"{part / (part + rest):.1%}" if part + rest else "nothing to count"


def main(names):
    unknown = set(names) - {package["package"] for package in JUDGED}
    if unknown:
        sys.exit(f"no judged package: {', '.join(sorted(unknown))}")
    lines, seconds, surprises = 0, 0.0, 0
    counts = {}
    print(f"{'package':38} {'lines':>10} {'judged':>7} {'new':>5} {'gone':>5}")
    for package in JUDGED:
        if names and package["package"] not in names:
            continue
        folder = fetch(package)
        began = time.perf_counter()
        found = audit([folder])
        seconds += time.perf_counter() - began
        lines += found.lines
        samples = {one["file"]: one["sample"] for one in package["files"]}
        seen = {
            (f.rule, Path(f.path).relative_to(folder).as_posix(), f.line) for f in found.findings
        }
        seen = {place for place in seen if place[1] in samples}
        judged = {
            (f["rule"], one["file"], f["line"]): f["verdict"]
            for one in package["files"]
            for f in one["findings"]
        }
        shown = {place for place, verdict in judged.items() if verdict != "missed"}
        new, gone = sorted(seen - shown), sorted(shown - seen)
        surprises += len(new) + len(gone)
        for place, verdict in judged.items():
            counts.setdefault(samples[place[1]], Counter())[verdict] += 1
        name, counted = package["package"], f"{len(seen):>7} {len(new):>5} {len(gone):>5}"
        print(f"{name:38} {found.lines:>10,} {counted}")
        for word, places in (("new", new), ("gone", gone)):
            for rule, file, line in places:
                print(f"    {word}: {rule} {file}:{line}")
    for sample, verdicts in sorted(counts.items()):
        true, wrong, missed = (verdicts[word] for word in ("true", "wrong", "missed"))
        print(
            f"sample {sample}: {true} true, {wrong} wrong, {missed} missed: "
            f"precision {rate(true, wrong)}, recall {rate(true, missed)}"
        )
    print(f"{100_000 * seconds / lines:.1f} s for 100,000 lines (<= 10)")
    return int(surprises > 0 or 100_000 * seconds / lines > 10)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
