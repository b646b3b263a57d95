"""From paths to findings: which files are read, what is skipped, which findings are ignored."""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from poolkit.audit.callers import Callers
from poolkit.audit.cures import package_of
from poolkit.audit.figures import Figures
from poolkit.audit.finding import Claim, Finding, Rule, Skipped, Unread, Violation
from poolkit.audit.lending import Lending
from poolkit.audit.libraries import BY_PACKAGE
from poolkit.audit.loops import Loops
from poolkit.audit.module import Module
from poolkit.audit.newer import needed
from poolkit.audit.program import Program
from poolkit.audit.rules import RULES
from poolkit.audit.syntax import Function
from poolkit.audit.values import Values
from poolkit.audit.view import Settings, View
from poolkit.errors import BadInput

LARGEST = 4_000_000  # bytes: what is larger was made by a program
NOT_ENTERED = frozenset(
    {".git", ".hg", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__", "site-packages"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints", ".eggs"}
)
NOT_SERVICE = ("test", "example", "script", "docs", "benchmark")  # how folders begin
_IGNORE = re.compile(r"#\s*poolkit:\s*ignore(?:\[([\w\-, ]*)\])?")
# What migrations and their env.py work with; `alembic.command` is for services that run them.
_OF_MIGRATIONS = frozenset({"alembic.op", "alembic.context"})
_MIGRATES = frozenset({"migration", "migrations", "migrate", "migrator"})  # words of a path
_MENTIONS = re.compile("|".join(sorted(BY_PACKAGE)))


@dataclass(frozen=True)
class Audit:
    """What was found, by path and line.

    `ignored` counts the findings that comments silence, `of_tests` the files that no rule looked at
    since they are tests, examples or scripts; `uncounted` are pools that a sum lacks, with what
    could not be read of each.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    files: int
    lines: int
    ignored: int
    of_tests: int = 0
    uncounted: tuple[Finding, ...] = ()


def audit(paths: Iterable[Path], settings: Settings | None = None) -> Audit:
    """Every finding in files and folders; what cannot be read or parsed is named and skipped.

    Raises:
        BadInput: a path does not exist, or nothing in them is Python.
    """
    scan = _Scan(settings or Settings(), RULES)
    skipped: list[Skipped] = []
    files = lines = 0
    for path, is_of_tests in _sources(paths):
        files += 1
        text = ""
        try:
            text = _read(path)
            scan.read(text, str(path), is_of_tests=is_of_tests)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            skipped.append(_skipped(str(path), text, error))
            continue
        lines += text.count("\n") + 1
    if not files:
        raise BadInput(
            "no Python file was found", "name a file that ends in .py, or a folder with some"
        )
    findings, ignored = scan.findings(skipped)
    return Audit(
        tuple(findings), tuple(skipped), files, lines, ignored, scan.left_out, scan.uncounted
    )


def audit_source(
    text: str,
    path: str = "<source>",
    settings: Settings | None = None,
    rules: Sequence[Rule] = RULES,
) -> tuple[list[Finding], int]:
    """The findings in one source, and how many a comment in it silences.

    Raises:
        SyntaxError: the source does not parse.
    """
    scan = _Scan(settings or Settings(), rules)
    scan.read(text, path)
    return scan.findings()


class _Scan:
    """One scan of a program: sources are read, then all rules look at all of them.

    State: the modules, with what their comments silence; what rules could not read of them.
    """

    uncounted: tuple[Finding, ...] = ()

    def __init__(self, settings: Settings, rules: Sequence[Rule]) -> None:
        self._settings = settings
        self._rules = rules
        self._modules: dict[str, Module] = {}
        self._comments: dict[str, dict[int, frozenset[str]]] = {}
        self._of_tests: set[str] = set()

    def read(self, text: str, path: str, *, is_of_tests: bool = False) -> None:
        """Take one source in."""
        module = Module(text, path)
        # Whatever cannot be walked is skipped as a whole, and now.
        assert module.parents is not None
        self._modules[path] = module
        self._comments[path] = _ignored(text) if "poolkit" in text else {}
        # A migration runs once, by hand.
        if is_of_tests or not _OF_MIGRATIONS.isdisjoint(module.imported.values()):
            self._of_tests.add(path)

    @property
    def left_out(self) -> int:
        """Files of tests, examples and scripts that no rule looks at."""
        return 0 if self._settings.tests else len(self._of_tests)

    def findings(self, skipped: list[Skipped] | None = None) -> tuple[list[Finding], int]:
        """Every finding by module and line, and how many comments silenced.

        Args:
            skipped: takes the modules that some rule cannot bear; None: the error is raised.
        """
        program = Program(self._modules.values())
        values = Values(program)
        callers = Callers(program, values)
        figures = Figures(values)
        lending = Lending(values)
        left_out = set() if self._settings.tests else self._of_tests
        loops = Loops(values, callers, left_out)
        found: list[tuple[Finding, bool]] = []
        unread: list[Finding] = []
        claimed: dict[Rule, list[tuple[Claim, Finding, bool]]] = {}
        for path, module in self._modules.items():
            if path in left_out or not _MENTIONS.search(module.text):
                continue
            view = View(module, values, figures, callers, lending, loops, self._settings)
            try:
                violations = [(rule, one) for rule in self._rules for one in rule.find(view)]
            except (RecursionError, MemoryError) as error:
                if skipped is None:
                    raise
                skipped.append(Skipped(path, _reason(error)))
                continue
            for rule, one in violations:
                if not self._settings.tests and _is_in_test(module, one.node):
                    continue
                finding = _finding(view, rule, one)
                is_ignored = _is_ignored(one.node, rule, self._comments[path])
                if isinstance(one.message, Unread):
                    if not is_ignored:
                        unread.append(replace(finding, message=one.message.what))
                elif isinstance(one.message, Claim):
                    claimed.setdefault(rule, []).append((one.message, finding, is_ignored))
                else:
                    found.append((finding, is_ignored))
        for rule, claims in claimed.items():
            assert rule.judge is not None
            messages = rule.judge([claim for claim, _, _ in claims], self._settings)
            found += [
                (replace(finding, message=message), is_ignored)
                for message, (_, finding, is_ignored) in zip(messages, claims, strict=True)
                if message is not None
            ]
        self.uncounted = tuple(dict.fromkeys(unread))
        order = {path: at for at, path in enumerate(self._modules)}
        shown = [finding for finding, is_ignored in found if not is_ignored]
        shown.sort(key=lambda one: (order[one.path], one.line, one.column, one.rule))
        # A with-statement inside another one shows the same place twice.
        return list(dict.fromkeys(shown)), len(found) - len(shown)


def _is_in_test(module: Module, node: ast.AST) -> bool:
    """Whether a test, or a fixture of tests, holds a node."""
    return any(isinstance(one, Function) and _tests(one) for one in module.around(node))


@lru_cache(maxsize=64)  # asked again for each finding in it
def _tests(function: Function) -> bool:
    return function.name.startswith("test_") or any(
        "fixture" in ast.unparse(one) for one in function.decorator_list
    )


def _finding(view: View, rule: Rule, violation: Violation) -> Finding:
    module = view.module
    number = violation.node.lineno
    line = module.lines[number - 1] if number <= len(module.lines) else ""
    message = violation.message if isinstance(violation.message, str) else ""
    column = _column(line, violation.node.col_offset)
    library = package_of(rule.name, view, violation.node)
    return Finding(rule.name, module.path, number, column, message, line.strip(), library)


def _column(line: str, offset: int) -> int:
    """The parser's offset (bytes of UTF-8) as a column from 1 in UTF-16 units, as editors count."""
    before = line.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")
    return len(before.encode("utf-16-le", "surrogatepass")) // 2 + 1


def _is_ignored(node: ast.expr | ast.stmt, rule: Rule, comments: dict[int, frozenset[str]]) -> bool:
    """Whether a comment on one of its lines names the rule, or no rule at all."""
    lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return any(line in comments and rule.name in (comments[line] or {rule.name}) for line in lines)


def _ignored(text: str) -> dict[int, frozenset[str]]:
    """The rules that comments silence, by line; an empty set silences all of them."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        match = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
        if match:
            found[token.start[0]] = frozenset((match[1] or "").replace(",", " ").split())
    return found


def _sources(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Python files below the paths, each once, folders in order of name; whether it is a test's.

    A file that is named itself is looked at, whatever it is.
    """
    given: set[Path] = set()
    for path in paths:
        if not os.path.exists(path):  # a name may be too long to be asked for
            raise BadInput(f"{path} does not exist", "name files or folders with Python source")
        for source in [path] if path.is_file() else _below(path):
            real = source.resolve()
            if real not in given:
                given.add(real)
                yield source, source != path and _is_of_tests(source.relative_to(path))


def _is_of_tests(path: Path) -> bool:
    """Whether a file is a test, an example, a script or a migration, which may do what a service
    must not."""
    name = path.name.lower()
    is_test = name.startswith(("test_", "conftest")) or name.endswith("_test.py")
    folders = (part.lower().lstrip("_") for part in path.parts[:-1])
    words = re.split(r"[/\\_.]", path.as_posix().lower())
    is_migration = not _MIGRATES.isdisjoint(words)
    return is_test or is_migration or any(part.startswith(NOT_SERVICE) for part in folders)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in NOT_ENTERED)
        yield from (Path(root) / name for name in sorted(files) if name.endswith(".py"))


def _read(path: Path) -> str:
    """A source by the encoding that it declares, UTF-8 when it declares none."""
    if not path.is_file():
        raise OSError("is not a regular file")
    if path.stat().st_size > LARGEST:
        raise OSError(f"is larger than {LARGEST // 1_000_000} MB")
    try:
        with tokenize.open(path) as stream:
            return stream.read()
    except (SyntaxError, UnicodeDecodeError, LookupError):
        raise ValueError(
            "is not text in the encoding that it declares (UTF-8 by default)"
        ) from None


def _skipped(path: str, text: str, error: BaseException) -> Skipped:
    newer = needed(text, error) if isinstance(error, SyntaxError) else None
    if newer is None:
        return Skipped(path, _reason(error))
    version = ".".join(map(str, newer.version))
    return Skipped(
        path, f"needs Python {version} or newer: {newer.what} (line {newer.first})", version
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        where = f" (line {error.lineno})" if error.lineno else ""
        return f"does not parse: {error.msg}{where}"
    if isinstance(error, RecursionError | MemoryError):
        return "is nested too deeply"
    return getattr(error, "strerror", None) or str(error)
