"""The ways in which people write the mistakes, and what looks like them: each form on its own.

A file of `cases/forms/` begins with the imports that its forms share. `# form: name` begins one, a
program by itself, `# module: name` another module of it (its first one is `mod`, the package is
`pkg`), and `# found: rule` ends a line with all rules that find something there.
"""

import re
from pathlib import Path

import pytest

from poolkit.audit import audit

FORMS = Path(__file__).parent / "cases" / "forms"


def forms():
    for file in sorted(FORMS.glob("*.py")):
        head, *rest = re.split(r"^# form: (.*)\n", file.read_text(encoding="utf-8"), flags=re.M)
        for name, text in zip(rest[::2], rest[1::2], strict=True):
            modules = re.split(r"^# module: (\w+)\n", text, flags=re.M)
            yield pytest.param(
                {
                    name: head + source
                    for name, source in zip(["mod", *modules[1::2]], modules[::2], strict=True)
                },
                id=name,
            )


@pytest.mark.parametrize("modules", [*forms()])
def test_a_form_is_found_where_it_is_marked_and_nowhere_else(tmp_path, modules):
    """All rules look at it; what they find is just what is marked."""
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "__init__.py").touch()
    marked = set()
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            _, mark, rules = line.partition("  # found: ")
            marked |= {(rule, name, number) for rule in rules.split(", ") if mark}
    found = audit([folder])
    assert not found.skipped
    assert {(f.rule, Path(f.path).stem, f.line) for f in found.findings} == marked
