"""Several modules are read together: what one makes is known where another imports it."""

import pytest

from poolkit.audit import audit

DB = """
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)
Sessions = async_sessionmaker(engine)


async def get_session():
    async with Sessions() as session:
        yield session
"""
ROUTES = """
import httpx
from fastapi import Depends, FastAPI
from app.db import Sessions, get_session

app = FastAPI()
partner = httpx.AsyncClient()


async def save(row):
    async with Sessions() as session:
        await session.merge(row)


@app.post("/orders")
async def order(session=Depends(get_session)):
    row = await session.get(Order, 1)
    await save(row)
    await partner.post("/", json=row)
"""
TOOLS = """
from sqlalchemy import create_engine, text


def check(url):
    engine = create_engine(url, pool_pre_ping=True)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    engine.dispose()
"""


def found(folder, **sources):
    for name, text in sources.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return [(finding.rule, finding.line) for finding in audit([folder]).findings]


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "__init__.py").touch()
    return folder


def test_a_session_of_another_module_is_followed(app):
    """Two sessions of one engine, the first of them through a dependency of another module."""
    assert found(app, db=DB, routes=ROUTES) == [("second-acquire", 18), ("held-across-call", 19)]
    assert found(app, routes=ROUTES, db="") == []


def test_relative_imports_are_followed(app):
    """As the absolute ones."""
    assert len(found(app, db=DB, routes=ROUTES.replace("app.db", ".db"))) == 2


@pytest.mark.parametrize(
    ("caller", "is_found"),
    [
        ("", True),  # whoever calls it does not show
        ("from app.tools import check\n\ncheck('x')\n", False),
        ("from app.tools import check\n\ndef main():\n    check('x')\n\nmain()\n", False),
        ("from app.tools import check\n\nfor one in 'ab':\n    check(one)\n", False),
        (
            "from fastapi import FastAPI\nfrom app.tools import check\n\napp = FastAPI()\n\n"
            "@app.get('/')\ndef index():\n    check('x')\n",
            True,
        ),
        (
            "from app.tools import check\n\nasync def opens(app):\n    check('x')\n    yield\n\n"
            "app = FastAPI(lifespan=opens)\n",
            False,
        ),
        ("from app import tools\n\nif __name__ == '__main__':\n    tools.check('x')\n", False),
    ],
)
def test_callers_in_other_modules_decide_how_often_a_function_runs(app, caller, is_found):
    """Names say nothing: a function that only start-up code calls runs once."""
    rules = [rule for rule, _ in found(app, tools=TOOLS, caller=caller)]
    assert ("pool-per-call" in rules) is is_found


STARS = """
from fastapi import Depends
from app.db import *


async def save(session=Depends(get_session)):
    row = await session.get(Order, 1)
    async with Sessions() as other:
        await other.merge(row)


def ask():
    return httpx.get("https://partner/")
"""


@pytest.mark.parametrize(
    ("head", "rules"),
    [
        ("import httpx\n", ["second-acquire", "session-per-call"]),
        ("from app.more import *\n", ["second-acquire", "session-per-call"]),
        ("import httpx\n__all__ = ['Sessions', 'get_session']\n", ["second-acquire"]),
        ("import httpx\n__all__ = ['get_session']\n", []),
    ],
)
def test_what_a_star_brings_is_followed(app, head, rules):
    """Names and imports of a module of the program, those of its `__all__` where it has one."""
    sources = {"db": head + DB, "more": "import httpx\n"}
    assert [rule for rule, _ in found(app, stars=STARS, **sources)] == rules


def test_what_a_star_brings_of_a_library_is_known(app):
    """`from sqlalchemy import *` binds its makers."""
    text = TOOLS.replace("import create_engine, text", "import *")
    assert [rule for rule, _ in found(app, tools=text)] == ["pool-per-call"]
