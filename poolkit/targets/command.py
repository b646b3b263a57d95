"""A Redis command with named placeholders."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template


@dataclass(frozen=True, slots=True)
class Command:
    """One command as redis-cli reads it: words, quoted where they hold a space.

    `$name` or `${name}` is a placeholder, `$$` a dollar. (Colons and braces stand in keys:
    `session:$id`, `{user:$id}:cart`.) ValueError: a quote is not closed, or there is no word.
    """

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
