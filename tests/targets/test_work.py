"""From a target to what its calls do."""

import pytest

from poolkit.errors import BadInput
from poolkit.targets import Choice, Target, Uniform
from poolkit.targets.workload import HttpWork, Statement, http_work, sql_work

TOKEN = "Bearer hunter2-s3cret"


def http(**settings):
    return Target(
        **{"name": "t", "driver": "httpx", "url": "http://[::1]/x", "target_rate": 1.0} | settings
    )


def sql(**settings):
    base = {"name": "t", "driver": "psycopg", "dsn": "postgresql:///d", "target_rate": 1.0}
    return Target(**base | settings)


def test_a_plain_request():
    """GET without headers or body."""
    assert http_work(http()) == HttpWork("GET", "http://[::1]/x", {}, None, None)


def test_a_request_with_all_that_it_may_have(monkeypatch):
    """Secrets come from the environment when the work is made; the text form shows none."""
    monkeypatch.setenv("ORDERS_TOKEN", TOKEN)
    headers = {"Accept": "text/html", "Authorization": {"env": "ORDERS_TOKEN"}}
    work = http_work(http(method="PUT", headers=headers, body="é"))
    assert (work.method, work.body) == ("PUT", b"\xc3\xa9")
    assert work.headers == {"Accept": "text/html", "Authorization": TOKEN}
    assert "hunter2" not in repr(work)
    with pytest.raises(TypeError):
        work.headers["Accept"] = "x"


def test_an_unset_variable_is_bad_input(monkeypatch):
    """A target made by hand is not looked at when a file is read."""
    monkeypatch.delenv("ORDERS_TOKEN", raising=False)
    target = http(headers={"X": {"env": "ORDERS_TOKEN"}})
    with pytest.raises(BadInput, match=r"targets\.t\.headers\.X: .* export ORDERS_TOKEN='VALUE'"):
        http_work(target)


def test_statements_with_their_values():
    """Placeholders are found, the values come from the seed."""
    target = sql(
        statements=["select :id", "update x set k = :kind where id = :id"],
        parameters={"id": Uniform(1, 1000), "kind": Choice(("a", "b"))},
        pause=0.25,
        read_only=False,
    )
    work = sql_work(target, 3)
    assert work.statements == tuple(Statement(text) for text in target.statements)
    assert (work.pause, work.read_only, work.function) == (0.25, False, None)
    values = [work.draw() for _ in range(5)]
    again = sql_work(target, 3)
    assert values == [again.draw() for _ in range(5)]
    other = sql_work(target, 4)
    assert values != [other.draw() for _ in range(5)]
    assert work.statements[1].arguments({"id": 1, "kind": "a"}) == ["a", 1]
    assert repr(work) == (
        "SqlWork(2 statements, parameters [id, kind], pause=0.25, read_only=False, function=None)"
    )


def test_a_function_of_the_users_own(tmp_path, monkeypatch):
    """Loaded for either family; what is wrong with it names the target's key."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "wk_own.py").write_text("async def f(connection): ...\n", encoding="utf-8")
    for work in (http_work(http(work="wk_own:f")), sql_work(sql(work="wk_own:f"), 0)):
        assert work.function is not None
        assert work.function.__name__ == "f"
    with pytest.raises(BadInput, match=r"^targets\.t\.work: wk_own has no function g"):
        sql_work(sql(work="wk_own:g"), 0)
