"""A SQL text, or a Redis command, with named placeholders, as each client library wants it.

`:name` is a placeholder as in pgbench, but not within a string, a quoted identifier, a dollar quote
or a comment, and not where it follows a word or another colon (`a[lo:hi]`, `x::int`).
Lexical rules: PostgreSQL documentation, section 4.1, with standard_conforming_strings on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from string import Template
from typing import ClassVar

# A quote or comment that is not closed reaches to the end: the server will say what is wrong.
_TOKEN = re.compile(
    r"""
      --[^\n\r]*
    | [eE]'(?:[^'\\]|''|\\.?)*+'?  # backslashes escape in E'...', also in its continuation lines
        (?:[ \t\f\v]*[\n\r]\s*'(?:[^'\\]|''|\\.?)*+'?)*
    | '[^']*'?                     # 'it''s' reads as two strings side by side, which is as good
    | "[^"]*"?
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    | (?P<numbered>\$\d+)
    | [^\W\d][\w$]*                # a word takes its $ along: a$b$ opens no dollar quote
    | \d\w*
    | ::+
    | (?P<comment>/\*)
    | (?<![:\w]):(?P<name>[^\W\d]\w*)
    """,
    re.DOTALL | re.VERBOSE,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
# What SQLAlchemy's text() takes for a bind, and for an escaped colon, from which it takes the
# backslash (sqlalchemy.sql.compiler.BIND_PARAMS and BIND_PARAMS_ESC).
_SQLALCHEMY_COLON = re.compile(r"(?<![:\w\\]):\w+(?![:\w])|\\:\w*(?![:\w])")


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL text whose `:name` placeholders are found once and written in any library's form."""

    mark: ClassVar = ":"
    escape: ClassVar = "a colon that binds nothing wants a space behind it"

    text: str
    names: tuple[str, ...] = field(init=False)  # in the order of their first use
    has_numbers: bool = field(init=False, repr=False)  # $1 stands in it, outside of quotes
    # The text between placeholders and the placeholders' names in turn, text first and last.
    _pieces: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pieces, has_numbers = _taken_apart(self.text)
        object.__setattr__(self, "_pieces", pieces)
        object.__setattr__(self, "names", tuple(dict.fromkeys(pieces[1::2])))
        object.__setattr__(self, "has_numbers", has_numbers)

    @property
    def numbered(self) -> str:
        """With `$1`, `$2` as asyncpg wants; `arguments` gives the values in that order."""
        numbers = {name: f"${number}" for number, name in enumerate(self.names, 1)}
        return self._written(numbers)

    @property
    def named(self) -> str:
        """With `%(name)s`, as a library wants that reads a lone % only where nothing is bound."""
        if not self.names:
            return self.text
        pieces = [piece.replace("%", "%%") for piece in self._pieces]
        pieces[1::2] = [f"%({name})s" for name in self._pieces[1::2]]
        return "".join(pieces)

    @property
    def colon(self) -> str:
        """With `:name` as SQLAlchemy's text() wants, every other colon safe from being bound."""
        text, binds = "", set()
        for index, piece in enumerate(self._pieces):
            if index % 2:
                # text() binds no name behind a backslash or before a colon, and a space between
                # them changes nothing for the server: `:aid ::int`.
                text += " " if text.endswith("\\") else ""
                binds.add(len(text))
                follows = self._pieces[index + 1].startswith(":")
                text += f":{piece} " if follows else f":{piece}"
            else:
                text += piece
        return _SQLALCHEMY_COLON.sub(
            lambda match: match[0] if match.start() in binds else f"\\{match[0]}", text
        )

    @property
    def escape_from_read_only(self) -> str:
        """The word by which it may leave a read-only transaction, or write without; else empty.

        The server refuses what writes in such a transaction, but lets whoever is in it end it.
        """
        return next(filter(None, map(_escape, _commands(self.text))), "")

    def arguments(self, values: Mapping[str, int | float | str]) -> list[int | float | str]:
        """The values of the placeholders, in the order of `names`."""
        return [values[name] for name in self.names]

    def _written(self, placeholders: Mapping[str, str]) -> str:
        pieces = list(self._pieces)
        pieces[1::2] = [placeholders[name] for name in self._pieces[1::2]]
        return "".join(pieces)


_ENDS = frozenset({"begin", "start", "commit", "end", "rollback", "abort"})
_HIDES = frozenset({"do", "call"})  # runs whatever its body says
# The last is what the rules above rest on: where a string ends.
_SETTINGS = frozenset(
    {"transaction_read_only", "default_transaction_read_only", "standard_conforming_strings"}
)
# What acts outside of the transaction: on files of the server, over another connection, on other
# sessions, replication or settings, or on a text of SQL that is not seen here. The server lets
# those with the right do so while read-only. What a function of the user's own does is not known.
_ACTS = re.compile(
    r"lo_(?:export|import|creat|create|put|unlink|from_bytea|truncate(?:64)?)|lowrite|dblink\w*"
    r"|pg_file_\w+|pg_(?:terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile\w*|pg_promote"
    r"|pg_switch_(?:wal|xlog)|pg_create_restore_point|pg_logical_emit_message"
    r"|pg_(?:backup_st|start_b|stop_b)\w+|pg_\w*replication_(?:slots?|origin)\w*"
    r"|pg_(?:wal|xlog)_replay_\w+|pg_stat_reset\w*|pg_stat_statements_reset|pg_log_\w+"
    r"|(?:query|cursor)_to_xml\w*"
)
_ONLY_READ = frozenset(
    {"pg_replication_slots", "pg_stat_replication_slots", "pg_get_replication_slots"}
    | {"pg_replication_origin_status"}
)
_SETTING = re.compile(r"\s*\(\s*'([\w.]+)'\s*,")  # set_config's, as a plain string


def _escape(words: list[str]) -> str:
    """The same of one command, by its words in lower case, none of a literal among them."""
    first, known = words[0], set(words)
    brief = [word for word in words if word not in ("work", "transaction")]
    if first in _ENDS and brief[:2] != ["rollback", "to"]:
        return first
    if first in _HIDES or words[:2] == ["prepare", "transaction"]:
        return first
    if first == "set" and (known & _SETTINGS or "write" in known or "u&" in known):
        return "set"
    if first == "copy" and (words.count("to") != 1 or ("to", "stdout") not in pairwise(words)):
        return "copy"
    if "set_config" in known or "u&" in known:  # a name in escapes may be any
        return "set_config"
    if words[:2] == ["alter", "system"] or first == "load":
        return " ".join(words[:2] if first == "alter" else words[:1])
    if acts := [word for word in words if _ACTS.fullmatch(word) and word not in _ONLY_READ]:
        return acts[0]
    # https://www.postgresql.org/docs/current/view-pg-settings.html
    return "pg_settings" if {"update", "pg_settings"} <= known else ""


def _commands(text: str) -> list[list[str]]:
    """The words of each command, keywords and names, quoted ones too, in lower case."""
    commands: list[list[str]] = [[]]
    position = 0
    while match := _TOKEN.search(text, position):
        commands += [[] for _ in range(text.count(";", position, match.start()))]
        token, position = match[0].lower(), match.end()
        if match["comment"]:
            position = _end_of_comment(text, position)
            continue
        if token == "u" and text[position : position + 2] == '&"':
            token = "u&"
        word = token.strip('"')
        is_word = word != token or token[0].isalpha() or token[0] == "_"
        if is_word and not (word == "set_config" and _sets_another(text, position)):
            commands[-1].append(word)
    return [words for words in commands if words]


def _sets_another(text: str, position: int) -> bool:
    """Whether the call of set_config is of a setting that says nothing of writing."""
    setting = _SETTING.match(text, position)
    return setting is not None and setting[1].lower() not in _SETTINGS


def _taken_apart(text: str) -> tuple[tuple[str, ...], bool]:
    """(text, name, text, ..., text), and whether `$1` or the like is used."""
    pieces = []
    has_numbers = False
    begin = position = 0
    while match := _TOKEN.search(text, position):
        position = match.end()
        if match["comment"]:
            position = _end_of_comment(text, position)
        elif match["numbered"]:
            has_numbers = True
        elif match["name"]:
            pieces += [text[begin : match.start()], match["name"]]
            begin = position
    return (*pieces, text[begin:]), has_numbers


def _end_of_comment(text: str, position: int) -> int:
    """Where the block comment ends whose opening mark ends at `position`; comments nest."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


@dataclass(frozen=True, slots=True)
class Command:
    """One command as redis-cli reads it: words, quoted where they hold a space.

    `$name` or `${name}` is a placeholder, `$$` a dollar. (Colons and braces stand in keys:
    `session:$id`, `{user:$id}:cart`.) ValueError: a quote is not closed, or there is no word.
    """

    mark: ClassVar = "$"
    escape: ClassVar = "a dollar that binds nothing is written $$"

    text: str
    names: tuple[str, ...] = field(init=False)  # in the order of their first use
    _words: tuple[Template | str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            written = shlex.split(self.text)
        except ValueError:
            raise ValueError("has a quote that is not closed, or a backslash at its end") from None
        if not written:
            raise ValueError("must hold a command, such as GET session:$id")
        templates = [Template(word) for word in written]
        names = [name for template in templates for name in template.get_identifiers()]
        object.__setattr__(self, "names", tuple(dict.fromkeys(names)))
        # A word without a placeholder costs a call nothing.
        words = [t if t.get_identifiers() else t.safe_substitute() for t in templates]
        object.__setattr__(self, "_words", tuple(words))

    @property
    def verb(self) -> str:
        """The command's name in capitals, such as GET."""
        return self.words({})[0].upper()

    def words(self, values: Mapping[str, int | float | str]) -> tuple[str, ...]:
        """What is sent, with the values in their places."""
        return tuple(
            word if isinstance(word, str) else word.safe_substitute(values) for word in self._words
        )
