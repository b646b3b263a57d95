"""Data flows one way: modules import only what stands before them, libraries stay at home."""

import subprocess
import sys

import pytest

from tests.house import HOMES, LAYERS, ROOT, breaches, circle, graph, imports, modules

# In order: each imports only what stands before it, and its own package.
HEAVY = ["numpy", "scipy", "pandas", "matplotlib", "ipywidgets", "pydantic", "typer", "rich"]


MODULES = modules()


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
        ("analysis.knee", "from . import curve", False),
        ("analysis.knee", "def f():\n    import time", True),  # a clock, even inside a function
        ("analysis", "import matplotlib.pyplot as plt", True),
        ("show.charts.throughput", "import matplotlib.pyplot as plt", False),
        ("drivers.aiohttp", "import aiohttp", False),
        ("drivers.asyncpg", "import aiohttp", True),
        ("targets.target", "from poolkit.drivers import base", True),
        ("targets.target", "from poolkit.drivers.table import DRIVERS", False),
        ("drivers.table", "from poolkit.drivers import base", True),
        ("drivers.aiohttp_extra", "import aiohttp", True),  # a name that only begins alike
        ("lab.upstream", "import aiohttp\nfrom poolkit.errors import BadInput", False),
        ("lab.upstream", "from poolkit.targets import Target", True),
        ("cli", "from poolkit import __version__, lab, review", False),
    ],
)
def test_the_rules_find_what_they_should(module, source, broken):
    """The reader of imports by example."""
    assert bool(list(breaches(module, source))) is broken


def test_no_two_modules_import_each_other():
    """Neither directly nor in a circle, wherever in a file the import stands."""
    assert circle(graph()) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) in (
        ["a", "b", "c", "a"],
        ["a", "c", "b", "a"],
    )


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
