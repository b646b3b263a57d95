"""Placeholders of a SQL text: found where PostgreSQL would see code, written for each library."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text as sqlalchemy_text
from sqlalchemy.dialects import postgresql

from poolkit.targets import Target
from poolkit.targets.workload import Statement

CASES = [
    # (text, names, numbered)
    ("", (), ""),
    ("select 1", (), "select 1"),
    (":a", ("a",), "$1"),
    ("select :b, :a, :b", ("b", "a"), "select $1, $2, $1"),
    ("where id=:id", ("id",), "where id=$1"),
    ("values (:a,:b_2)", ("a", "b_2"), "values ($1,$2)"),
    ("select :a::int", ("a",), "select $1::int"),
    ("select x::int, (:a)::text", ("a",), "select x::int, ($1)::text"),
    ("select a[lo:hi], a[1:2]", (), "select a[lo:hi], a[1:2]"),
    ("select a[ :lo : :hi ]", ("lo", "hi"), "select a[ $1 : $2 ]"),
    ("f(a := 1, b => :b)", ("b",), "f(a := 1, b => $1)"),
    ("select : a", (), "select : a"),
    ("select ':a', 'it''s :a', ''':a' || :b", ("b",), "select ':a', 'it''s :a', ''':a' || $1"),
    (r"select '\', :a", ("a",), r"select '\', $1"),  # no escape in a plain string
    (r"select E'\':a', e'\\', :b", ("b",), r"select E'\':a', e'\\', $1"),
    ("select E'a'\n  'b\\':x', :y", ("y",), "select E'a'\n  'b\\':x', $1"),
    ("select nameE'\\', :a", ("a",), "select nameE'\\', $1"),  # E ends a word, so no E string
    ("select U&'\\0041:a', :b", ("b",), "select U&'\\0041:a', $1"),
    ('select ":a", "x"":b", :c', ("c",), 'select ":a", "x"":b", $1'),
    ("select $$:a$$, :b", ("b",), "select $$:a$$, $1"),
    ("select $t$ $$ :a $q$ $t$, :b", ("b",), "select $t$ $$ :a $q$ $t$, $1"),
    ("select a$b$ , :c, d$b$", ("c",), "select a$b$ , $1, d$b$"),  # $ within words quotes nothing
    ("select 1 -- :a\n, :b", ("b",), "select 1 -- :a\n, $1"),
    ("select /* :a /* :b */ :c */ :d", ("d",), "select /* :a /* :b */ :c */ $1"),
    ("select '/*', :a, '*/'", ("a",), "select '/*', $1, '*/'"),
    ("select /* ' */ :a /* ' */", ("a",), "select /* ' */ $1 /* ' */"),
    ("select 'open :a", (), "select 'open :a"),
    ("select /* open :a */ /* :b", (), "select /* open :a */ /* :b"),
    ("select $t$ open :a $u$", (), "select $t$ open :a $u$"),
    ("select :naïve", ("naïve",), "select $1"),
    ("select 10 % :a, '100%'", ("a",), "select 10 % $1, '100%'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "names", "numbered"), CASES, ids=[case[0] for case in CASES])
def test_placeholders(text, names, numbered):
    """Found in code only, numbered in the order of their first use."""
    statement = Statement(text)
    assert (statement.names, statement.numbered) == (names, numbered)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("select $1", True), ("select '$1', $$ $1 $$, a$1", False), ("select :a + $2", True)],
)
def test_numbers_written_by_hand_are_seen(text, expected):
    """They would mix with ours, so targets.toml refuses them."""
    assert Statement(text).has_numbers is expected


def test_percent_signs():
    """psycopg reads % in a text as soon as there are parameters, and only then."""
    assert Statement("select 7 % 3, '%s'").named == "select 7 % 3, '%s'"
    assert Statement("select :a % 3, '%s'").named == "select %(a)s %% 3, '%%s'"


def test_a_statement_is_its_text():
    """Equal texts are equal statements; the text form shows what was found."""
    assert Statement("select :a") == Statement("select :a") != Statement("select :b")
    assert repr(Statement("select :a")) == "Statement(text='select :a', names=('a',))"
    assert Statement("select :b, :a").arguments({"a": 1, "b": "x", "c": 2.0}) == ["x", 1]


# Pieces in which a colon and a name mean nothing, each complete in itself.
INNER = st.text(":abc %\\\n*-", max_size=8)
OPAQUE = st.one_of(
    INNER.map(lambda inner: f"'{inner}'"),
    INNER.map(lambda inner: "E'{}'".format(inner.replace("\\", "\\\\") + r"\'" + ":a")),
    INNER.map(lambda inner: f'"{inner}"'),
    INNER.map(lambda inner: f"$tag${inner}$tag$"),
    INNER.map(lambda inner: f"$${inner}$$"),
    INNER.map(lambda inner: f"-- {inner} :a".replace("\n", " ") + "\n"),
    INNER.map(lambda inner: "/* {} /* :b */ :c */".format(inner.replace("*", "+"))),
)
CODE = st.sampled_from(
    ["select ", ", ", "x::int ", "a[lo:hi] ", "a[1:2] ", " % ", "f(x := 1) ", "(", ")", "\n", " "]
)
NAME = st.sampled_from(["a", "b", "aid", "_x1"])
PARTS = st.lists(
    st.one_of(
        OPAQUE.map(lambda text: (text, None)),
        CODE.map(lambda text: (text, None)),
        NAME.map(lambda name: ("", name)),
    ),
    max_size=12,
)


def joined(parts, placeholder):
    """A text of parts, a space around each, so that none reaches into its neighbour."""
    return " ".join(text if name is None else placeholder(name) for text, name in parts)


@given(PARTS)
def test_placeholders_are_replaced_and_nothing_else_is_touched(parts):
    """Strings, quoted names, comments and code come out as they went in, in every form."""
    statement = Statement(joined(parts, ":{}".format))
    names = list(dict.fromkeys(name for _, name in parts if name is not None))
    assert list(statement.names) == names
    assert statement.numbered == joined(parts, lambda name: f"${names.index(name) + 1}")
    if names:
        doubled = [(text.replace("%", "%%"), name) for text, name in parts]
        assert statement.named == joined(doubled, "%({})s".format)


@given(st.lists(OPAQUE | CODE, max_size=12).map(" ".join))
def test_a_text_without_placeholders_is_unchanged(text):
    """In the forms of asyncpg and psycopg; SQLAlchemy gives it on as it was."""
    statement = Statement(text)
    assert (statement.names, statement.numbered, statement.named) == ((), text, text)
    assert compiled(statement.colon) == text


def compiled(colon):
    """What SQLAlchemy sends to asyncpg for a text() of this."""
    return str(sqlalchemy_text(colon).compile(dialect=postgresql.asyncpg.dialect()))


@given(PARTS)
def test_sqlalchemy_binds_the_same_names(parts):
    """Its text() sees our placeholders as binds, no other, and loses no character of the rest."""
    statement = Statement(joined(parts, ":{}".format))
    assert set(sqlalchemy_text(statement.colon)._bindparams) == set(statement.names)
    assert compiled(statement.colon) == statement.numbered


@given(st.text(":a1 \\\n'\"$/*-E%[]_é", max_size=30))
@example(r"'\:a' '\\:a' '\::a' :a")
@example(":a::int:b")
@example("[:a:5]")
@example("\\:a")
def test_sqlalchemy_sends_what_asyncpg_is_sent(text):
    """Any text at all, apart from spaces beside a placeholder."""
    statement = Statement(text)
    assert unspaced(compiled(statement.colon)) == unspaced(statement.numbered)


def unspaced(text):
    """Without the spaces that text() needs between a placeholder and its neighbours."""
    return re.sub(r" (?=\$\d)|(?<=\$\d) ", "", text)


@given(st.text(max_size=40) | st.text(":a1 \\\n'\"$/*-E%[]", max_size=40))
def test_any_text_is_taken_apart_and_put_together(text):
    """No character is lost, and to look twice finds nothing new."""
    statement = Statement(text)
    written = statement._written({name: f":{name}" for name in statement.names})
    assert written == text


@given(PARTS)
def test_psycopg_reads_our_form(parts):
    """Its own parser finds our names, and turns %% back into one."""
    queries = pytest.importorskip("psycopg._queries")
    statement = Statement(joined(parts, ":{}".format))
    if not statement.names:
        return
    query, _, order, _ = queries._query2pg(statement.named.encode(), "utf-8")
    assert tuple(order) == statement.names
    assert query.decode() == statement.numbered


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("select 1", ""),
        ("select 'commit; begin' -- commit", ""),
        ("select end_of, \"begin\" from t where a = 'x;commit'", ""),
        ("select case when true then 1 end", ""),
        ("select $$;commit$$ /* ; commit /* ; */ */", ""),
        ("savepoint a", ""),
        ("rollback to a", ""),
        ("rollback work to savepoint a", ""),
        ("set transaction isolation level repeatable read", ""),
        ("select set_config('app.tenant', :tenant, true)", ""),
        ('select for_update, call, "do" from t for update', ""),
        ("with a as (select 'copy t from x') select * from a", ""),
        ("copy (select program from t) to stdout with (format csv)", ""),
        ("set local work_mem = '1MB'", ""),
        ("copy t to stdout", ""),
        ("select * from pg_settings", ""),
        ("with a as (select 1) select * from a for share", ""),
        ("select 1; COMMIT", "commit"),
        ("/* a */ commit", "commit"),
        ("-- a\ncommit", "commit"),
        (";;Begin read write", "begin"),
        ("start transaction read write", "start"),
        ("rollback", "rollback"),
        ("prepare transaction 'a'", "prepare"),
        ("set standard_conforming_strings = off", "set"),
        ("set transaction isolation level serializable, read write", "set"),
        ("end", "end"),
        ("abort", "abort"),
        ("set transaction read write", "set"),
        ("set session characteristics as transaction read write", "set"),
        ('set "transaction_read_only" = off', "set"),
        ("set default_transaction_read_only to off", "set"),
        ('set U&"\\0074ransaction_read_only" = off', "set"),
        ("select pg_catalog.SET_CONFIG(a, 'off', false)", "set_config"),
        ("select \"set_config\"(:a, 'off', false)", "set_config"),
        ("select set_config ( 'Transaction_Read_Only' , 'off', false)", "set_config"),
        ("select set_config(E'transaction\\x5fread_only', 'off', false)", "set_config"),
        ("select set_config('transaction_' || 'read_only', 'off', false)", "set_config"),
        ("update pg_settings set setting = 'off'", "pg_settings"),
        ("do $$ begin null; end $$", "do"),
        ("call p()", "call"),
        ("copy (select 1) to program 'touch x'", "copy"),
        ("copy t to '/tmp/x'", "copy"),
        ("copy stdout to '/tmp/x'", "copy"),
        ("copy \"to\" (stdout) to '/tmp/x'", "copy"),
        ("copy t from stdin", "copy"),
        ("select lo_export(16400, '/tmp/x')", "lo_export"),
        ('select pg_catalog."lo_export" (:a, :b)', "lo_export"),
        ("select LO_EXPORT/**/(16400, '/tmp/x')", "lo_export"),
        ("select pg_file_write('a', 'b', true)", "pg_file_write"),
        ("select pg_terminate_backend(pid) from pg_stat_activity", "pg_terminate_backend"),
        ("select * from dblink('dbname=d', 'delete from t returning 1') as t(a int)", "dblink"),
        ("select dblink_exec('dbname=d', 'delete from t')", "dblink_exec"),
        ("select query_to_xml('select 1', true, true, '')", "query_to_xml"),
        ("select pg_drop_replication_slot('a')", "pg_drop_replication_slot"),
        ("select pg_replication_slot_advance('a', '0/1')", "pg_replication_slot_advance"),
        ("select pg_stat_reset()", "pg_stat_reset"),
        ("alter system set archive_command = 'touch x'", "alter system"),
        ("explain analyze select lo_import('/etc/passwd')", "lo_import"),
        ("load 'auto_explain'", "load"),
        ("select 'lo_export', lo_get(16400), pg_read_file('a'), length(:a)", ""),
        ("select * from pg_replication_slots", ""),
        ("select * from pg_stat_replication, pg_stat_database", ""),
    ],
)
def test_what_may_leave_a_read_only_transaction_is_found(text: str, word: str) -> None:
    """Commands by their words, wherever they stand; texts, comments and names are none."""
    assert Statement(text).escape_from_read_only == word


def test_leaving_a_read_only_transaction_needs_the_same_consent_as_writing() -> None:
    """By the key that a statement which writes needs."""
    given = {
        "name": "a",
        "driver": "psycopg",
        "dsn_env": "A_DSN",
        "target_rate": 1,
        "statements": ["rollback", "begin read write", "delete from t", "commit"],
    }
    with pytest.raises(ValueError, match=r"statements\[0\].*rollback.*read_only = false"):
        Target(**given)  # type: ignore[arg-type]
    assert Target(**given, read_only=False)  # type: ignore[arg-type]
