"""The table of commands, and what `poolkit` itself answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from poolkit import __version__
from poolkit.cli import auditing, history, lab, measuring, observing, probing, reviewing
from poolkit.cli.help import Command, Group

app = typer.Typer(
    name="poolkit",
    cls=Group,
    epilog="poolkit demo\npoolkit review --help",
    context_settings={"help_option_names": ["-h", "--help"]},
    # Plain text: boxes break words, and are none in a log.
    rich_markup_mode=None,
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
    """How large should a connection pool be? poolkit measures it, and proves the answer under load.

    `poolkit COMMAND --help` tells what a command sends, what it writes and what it ends with.
    """
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
            "poolkit review --targets targets.toml --out weekly --again --history /srv/reviews",
            "poolkit review --targets targets.toml --fail-on size,headroom=20% --junit gates.xml",
        ),
    ),
    (
        history.history,
        (
            "poolkit history",
            "poolkit history reviews/q1 reviews/q2 --target orders-api",
            "poolkit history data/observations --target orders-db",
            "poolkit history --demand orders-api=peaks.csv --demand orders-db=queries.csv",
            "poolkit history --demand orders-db=prometheus --targets targets.toml",
            "poolkit history data/reviews --csv history.csv --json history.json",
            "poolkit history --fail-on plateau=5%,p99 --waivers waivers.toml --summary gates.md",
        ),
    ),
    (
        measuring.size,
        (
            "poolkit size orders-api --targets targets.toml",
            "poolkit size orders-api --targets targets.toml --out orders --budget 90",
            "poolkit size orders-api --targets targets.toml --out orders --no-push",
            "poolkit size orders-db --targets targets.toml --out orders --cold",
            "poolkit size orders-api --targets targets.toml --out orders --again",
        ),
    ),
    (
        measuring.sweep,
        (
            "poolkit sweep orders-api --targets targets.toml",
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
    (
        observing.observe,
        (
            "poolkit observe orders-db --targets targets.toml --out orders",
            "poolkit observe orders-db --targets targets.toml --since 24h",
            "poolkit observe orders-db --targets targets.toml --events",
            "poolkit observe orders-db --targets targets.toml --out orders --verify",
            "poolkit observe orders-db --targets targets.toml --fail-on size --junit gates.xml",
        ),
    ),
    (lab.lab, ("poolkit lab", "poolkit lab --targets-out lab.toml")),
    (auditing.doctor, ("poolkit doctor",)),
)


for _command, _examples in _COMMANDS:
    app.command(
        cls=Command,
        help=inspect.cleandoc(_command.__doc__ or ""),
        epilog="\n".join(_examples),
    )(_command)
