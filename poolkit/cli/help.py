"""`--help` of every command: plain text in at most 100 columns, options by what they are about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup

from poolkit.cli.printed import wrap
from poolkit.errors import ExitCode

WIDEST, NARROWEST = 100, 40
LABEL = 28  # columns for names of options; what is longer stands on a line of its own
# What a command may end with, beside bad input and a fault of poolkit's own.
MEASURING = tuple(ExitCode)
CODES: dict[str, Sequence[ExitCode]] = {
    "demo": [code for code in MEASURING if code != ExitCode.FINDINGS],
    "review": MEASURING,
    "size": MEASURING,
    "sweep": [code for code in MEASURING if code != ExitCode.FINDINGS],
    "probe": [code for code in MEASURING if code != ExitCode.OUT_OF_REACH],
    "observe": MEASURING,
    "history": [ExitCode.DONE, ExitCode.FINDINGS, ExitCode.BAD_INPUT],
    "audit": [ExitCode.DONE, ExitCode.FINDINGS, ExitCode.BAD_INPUT],
    "doctor": [ExitCode.DONE, ExitCode.FINDINGS],
    "lab": [ExitCode.DONE, ExitCode.BAD_INPUT],
}


class Command(TyperCommand):
    """A command whose epilog is its examples, one a line."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the line that stands above a usage error, too."""
        formatter.write(f"Usage: {ctx.command_path} {_usage(self.get_params(ctx))}\n")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole page."""
        self.format_usage(ctx, formatter)
        lines = ["", *_description(self.help or "")]
        for heading, params in _groups(self.get_params(ctx)).items():
            lines += [f"{heading}:", *_items([_described(one) for one in params]), ""]
        lines += _codes(CODES[self.name or ""])
        lines += ["Examples:", *(f"  {example}" for example in (self.epilog or "").splitlines())]
        formatter.write("\n".join(lines) + "\n")


class Group(TyperGroup):
    """`poolkit` itself: its commands in the order in which they were added."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the line that stands above a usage error, too."""
        formatter.write(f"Usage: {ctx.command_path} COMMAND ...\n")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole page."""
        commands = [
            (name, (command.help or "").partition("\n")[0])
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None
        ]
        self.format_usage(ctx, formatter)
        lines = ["", *_description(self.help or "")]
        lines += ["Commands:", *_items(commands), ""]
        params = [_described(one) for one in self.get_params(ctx)]
        lines += ["Options:", *_items(params), "", *_codes(tuple(ExitCode))]
        lines += ["Start with:", *(f"  {line}" for line in (self.epilog or "").splitlines())]
        formatter.write("\n".join(lines) + "\n")


def width() -> int:
    """Columns of the page."""
    return max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST))


def _usage(params: Sequence[Any]) -> str:
    """The arguments and the options that must be there; the others are `[OPTIONS]`."""
    needed = [_label(one) for one in params if isinstance(one, TyperArgument)]
    needed += [_label(one) for one in params if _is_option(one) and one.required]
    return " ".join([*needed, "[OPTIONS]"])


def _description(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield from wrap(" ".join(paragraph.split()), width())
        yield ""


def _groups(params: Sequence[Any]) -> dict[str, list[Any]]:
    """What is shown, by the panel that each option names, arguments with the first."""
    found: dict[str, list[Any]] = {}
    for one in params:
        if not getattr(one, "hidden", False):
            found.setdefault(getattr(one, "rich_help_panel", None) or "Other", []).append(one)
    if "Other" in found:
        found["Other"] = found.pop("Other")
    return found


def _described(param: Any) -> tuple[str, str]:
    text = param.help or ""
    if param.required and _is_option(param):
        text += " Required."
    if param.show_default and param.default is not None and not getattr(param, "is_flag", False):
        text += f" (default: {getattr(param.default, 'value', param.default)})"
    return _label(param), text.strip()


def _label(param: Any) -> str:
    if isinstance(param, TyperArgument):
        return str(param.metavar or (param.name or "").upper())
    names = ", ".join(sorted(param.opts, key=len))
    return names if param.is_flag or param.count else f"{names} {param.metavar or 'VALUE'}"


def _is_option(param: Any) -> bool:
    return not isinstance(param, TyperArgument)


def _items(items: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Labels to the left, what they mean to the right, wrapped."""
    label = min(LABEL, max(len(name) for name, _ in items))
    start = " " * (label + 4)
    for name, text in items:
        first, *others = wrap(text, width() - len(start))
        if len(name) > label:
            yield f"  {name}"
            yield f"{start}{first}".rstrip()
        else:
            yield f"  {name.ljust(label)}  {first}".rstrip()
        yield from (f"{start}{line}" for line in others)


def _codes(codes: Sequence[ExitCode]) -> Iterator[str]:
    yield "Exit codes:"
    yield from _items([(str(int(code)), code.meaning) for code in codes])
    yield ""
