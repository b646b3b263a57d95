"""Syntax of a newer Python is told from mistakes; what this one reads is neither."""

import ast
import sys

import pytest

from poolkit.audit.newer import constructs, needed

WITH_TYPES = "def f[T](x: T) -> T:\n    return x\n"


def said_of(text):
    """The Python that it needs, by the running parser's own error."""
    with pytest.raises(SyntaxError) as told:
        ast.parse(text)
    found = needed(text, told.value)
    return None if found is None else (found.version, found.first)


@pytest.mark.parametrize(
    ("text", "version", "line"),
    [
        (WITH_TYPES, (3, 12), 1),
        ("async " + WITH_TYPES, (3, 12), 1),
        ("class C[\n    T,\n]:\n    pass\n", (3, 12), 1),
        ("x = 1\ntype X = int\n", (3, 12), 2),
        ("type X[T] = list[T]\n", (3, 12), 1),
        ("def f[T = int](x: T):\n    return x\n", (3, 13), 1),
        ("class C[T: int = int, *Ts = *tuple[int]]:\n    pass\n", (3, 13), 1),
        ('x = f"{d["a"]}"\n', (3, 12), 1),
        ("x = f\"{'\\n'.join(a)}\"\n", (3, 12), 1),
        ("x = f'{\n1\n}'\n", (3, 12), 1),
        ("y = 1\nx = f'''{\n1 # one\n}'''\n", (3, 12), 2),
        ("x = f'{f'{f'{1}'}'}'\n", (3, 12), 1),
        ('x = f"{1:{"5"}}"\n', (3, 12), 1),
        ("try:\n    pass\nexcept ValueError, os.Error:\n    pass\n", (3, 14), 3),
        ("x = t'{1}'\n", (3, 14), 1),
        ("lazy import os\n", (3, 15), 1),
        ("x = [*a for a in b]\n", (3, 15), 1),
        # The newest of several.
        (WITH_TYPES + "try:\n    pass\nexcept A, B:\n    pass\n", (3, 14), 5),
    ],
)
def test_newer_syntax_is_named(text, version, line):
    """With the first Python that reads it, and the line of what needs it."""
    if sys.version_info[:2] >= version:
        pytest.skip("this Python reads it")
    assert said_of(text) == (version, line)


@pytest.mark.parametrize(
    "text",
    [
        "def (:\n",
        "x = f'{a'\n",
        "x = 'type X = 1\n",
        "# def f[T](x)\ndef (:\n",
        "x = '''\ntype X = int\n'''\ndef (:\n",
        "print 'x'\n",
        "try:\n    pass\nexcept ValueError, error:\n    pass\n",
        "type X\n",
    ],
)
def test_a_mistake_is_no_newer_python(text):
    """Nor is Python 2."""
    assert said_of(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "type = 3\ntype[0] = 2\n",
        "x = f'{a[1]:>{width}} {{b}} {c!r}'\n",
        "x = f\"{a['b']}\" 'f{' \"}\"\n",
        "x = rf'\\{a}' + Rb'{\"'.decode()\n",
        "x = f'''{\n1\n}'''\n",
        "x = f'{(lambda y: y)(1)} {a != b}'\n",
    ],
)
def test_what_every_python_reads_is_not_new(text):
    """Strings, formats and names that only look like it."""
    ast.parse(text)
    assert constructs(text) == []
