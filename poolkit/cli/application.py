"""The table of commands, and what `poolkit` itself answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from poolkit import __version__
from poolkit.cli import auditing, lab, measuring, probing, reviewing


def _without_types(params: list[Any]) -> list[Any]:
    """A flag takes no value, so that its help names no type."""
    for one in params:
        if isinstance(one, TyperOption) and one.is_flag:
            one.metavar = ""
    return params


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> Any:
        return _without_types(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> Any:
        return _without_types(super().get_params(ctx))


app = typer.Typer(
    name="poolkit",
    cls=_Group,
    help="Size connection pools by measurement: sweep, size, verify, report.",
    epilog="[bold]Start with[/bold]  poolkit demo      [dim]then[/dim]  poolkit review --help",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    add_completion=False,
    # A traceback that shows locals would show passwords.
    pretty_exceptions_enable=False,
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"poolkit {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def poolkit(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Size connection pools by measurement: sweep, size, verify, report."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


# Each command with its examples; their order is that of `poolkit --help`.
_COMMANDS: tuple[tuple[Callable[..., None], tuple[str, ...]], ...] = (
    (reviewing.demo, ("poolkit demo", "poolkit demo --out /tmp/poolkit-demo")),
    (
        reviewing.review,
        (
            "poolkit review --targets targets.toml --out reviews/q1",
            "poolkit review --targets targets.toml --out reviews/q2 --since reviews/q1",
            "poolkit review --targets targets.toml --out orders --only orders-api",
            "poolkit review --targets targets.toml --out reviews/q1 --again",
        ),
    ),
    (
        measuring.size,
        (
            "poolkit size orders-api --targets targets.toml --out orders",
            "poolkit size orders-api --targets targets.toml --out orders --budget 90",
            "poolkit size orders-api --targets targets.toml --out orders --no-push",
            "poolkit size orders-api --targets targets.toml --out orders --again",
        ),
    ),
    (
        measuring.sweep,
        (
            "poolkit sweep orders-api --targets targets.toml --out orders",
            "poolkit sweep orders-api --targets targets.toml --out orders --sizes 1,2,4,8",
            "poolkit sweep orders-api --targets targets.toml --out orders --events",
            "poolkit sweep orders-api --targets targets.toml --out orders --again",
        ),
    ),
    (
        auditing.audit,
        (
            "poolkit audit src",
            "poolkit audit src --format sarif > poolkit.sarif",
            "poolkit audit src --max-connections 100 --processes 8 --server-keepalive 5",
        ),
    ),
    (
        probing.probe,
        (
            "poolkit probe orders-api --targets targets.toml",
            "poolkit probe orders-api --targets targets.toml --only idle --cap 130",
            "poolkit probe orders-db --targets targets.toml --out orders --in-transaction",
        ),
    ),
    (lab.lab, ("poolkit lab", "poolkit lab --targets-out lab.toml")),
    (auditing.doctor, ("poolkit doctor",)),
)


def _paragraphs(text: str) -> str:
    """A docstring with its paragraphs as one line each, for the terminal to wrap."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


for _command, _examples in _COMMANDS:
    app.command(
        cls=_Command,
        help=_paragraphs(_command.__doc__ or ""),
        epilog="\n\n".join(("[bold]Examples[/bold]", *_examples)),
    )(_command)
