"""work = "module:function": found from the current directory, or refused with what to do."""

import asyncio
import sys

import pytest

from poolkit.errors import BadInput, ExitCode
from poolkit.targets.workload import load_function

MODULE = """
import functools

async def read_one(connection):
    return ("read", connection)

async def with_default(connection, timeout=1.0):
    return timeout

async def anything(*arguments):
    return arguments

bound = functools.partial(read_one)

def plain(connection): ...
async def stream(connection):
    yield 1
async def nothing(): ...
async def two(connection, order): ...
value = 3
class Kind: ...
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Write modules into a current directory of their own, forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    before = set(sys.modules)

    def write(**sources):
        for name, source in sources.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return tmp_path

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("read_one", ("read", "it")),
        ("with_default", 1.0),
        ("anything", ("it",)),
        ("bound", ("read", "it")),
    ],
)
def test_a_coroutine_function_is_found(modules, name, result):
    """It is called with the session or connection."""
    modules(wk_found=MODULE)
    assert asyncio.run(load_function(f"wk_found:{name}")("it")) == result


def test_a_module_within_a_package_is_found(modules):
    """A dotted name, below the current directory."""
    modules(wk_package__orders=MODULE)
    assert load_function("wk_package.orders:read_one").__module__ == "wk_package.orders"


def test_a_module_written_later_is_found(modules):
    """A first try that fails leaves nothing behind that hides the file (notebooks stay open)."""
    with pytest.raises(BadInput, match="no module wk_later"):
        load_function("wk_later:read_one")
    modules(wk_later=MODULE)
    assert load_function("wk_later:read_one")


REFUSED = [
    # (work, cause, remedy)
    ("wk_none:f", "no module wk_none in ", "holds wk_none.py"),
    ("wk_none.sub:f", "no module wk_none in ", "holds wk_none.py"),
    ("json.nothing:f", "no module json.nothing in ", "holds json.py"),
    ("wk_bad:read_on", "has no function read_on; did you mean read_one?", "wk_bad.py: async def"),
    ("wk_bad:zzzzzz", "wk_bad has no function zzzzzz", "async def zzzzzz(connection)"),
    ("wk_bad:plain", "is not a coroutine function: it is not async", "async def plain("),
    ("wk_bad:stream", "is not a coroutine function: it has a yield in it", "async def stream("),
    ("wk_bad:value", "is not a coroutine function: it is a int", "async def value("),
    ("wk_bad:Kind", "is not a coroutine function: it is not async", "async def Kind("),
    ("wk_bad:nothing", "cannot be called with one argument", "async def nothing(connection)"),
    ("wk_bad:two", "one argument: missing a required argument: 'order'", "async def two("),
    ("wk_syntax:f", "importing wk_syntax failed: SyntaxError", 'python -c "import wk_syntax"'),
    ("wk_raises:f", "wk_raises failed: ZeroDivisionError", 'python -c "import wk_raises"'),
    ("wk_exits:f", "importing wk_exits failed: SystemExit: 3", 'python -c "import wk_exits"'),
    ("wk_needs:f", "ModuleNotFoundError: No module named 'wk_absent'", "python -c"),
    ("wk_bad", "is no module:function", "orders_work:read_one"),
]  # fmt: skip


@pytest.mark.parametrize(("work", "cause", "remedy"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_cannot_be_used_is_refused(modules, work, cause, remedy):
    """With the key, the reason, what to do, and exit code 2."""
    modules(
        wk_bad=MODULE,
        wk_syntax="def f(:",
        wk_raises="1 / 0",
        wk_exits="raise SystemExit(3)",
        wk_needs="import wk_absent",
    )
    with pytest.raises(BadInput) as refused:
        load_function(work, "targets.t.work")
    assert refused.value.cause.startswith("targets.t.work: ")
    assert cause in refused.value.cause
    assert remedy in refused.value.remedy
    assert refused.value.exit_code is ExitCode.BAD_INPUT
