"""Waivers: failures of gates that somebody answers for until a day; and what is left of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from poolkit.errors import BadInput, ExitCode
from poolkit.records import Record
from poolkit.review.gates import RULES, Judgement
from poolkit.targets.reading import read_toml
from poolkit.targets.words import nearest, rule, shown

EXAMPLE = """\
[[waiver]]
target = "orders-api"
gate = "plateau"
owner = "ana@example.com"
reason = "the new TLS stack costs a tenth; more servers come in March"
expires = 2027-03-31
"""
_ONE_LINE = "write each as a [[waiver]] table with target, gate, owner, reason and expires (a date)"
State = Literal["waives", "expired", "not needed", "does not apply", "matches nothing"]
Said = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Waiver(Record):
    """One table of the file; `expires` is the last day (UTC) on which it counts."""

    target: Said
    gate: Literal["size", "plateau", "p99", "headroom"]
    owner: Said
    reason: Said
    expires: Annotated[date, Field(strict=True)]


class Verdict(NamedTuple):
    """What all gates say, and which of their failures are waived."""

    judgements: tuple[Judgement, ...]
    waivers: tuple[tuple[Waiver, State], ...] = ()

    def waiver_of(self, judgement: Judgement) -> Waiver | None:
        """The waiver that a failure has; None: none, or it did not fail."""
        key = (judgement.target, judgement.gate.name)
        return next(
            (w for w, state in self.waivers if state == "waives" and (w.target, w.gate) == key),
            None,
        )

    @property
    def not_passed(self) -> tuple[Judgement, ...]:
        """Those that neither passed nor are waived."""
        return tuple(
            one
            for one in self.judgements
            if one.outcome != "passed" and self.waiver_of(one) is None
        )

    def exit_code(self, measured: ExitCode) -> ExitCode:
        """With that of the measurement, which goes first where it was not whole or fell short."""
        if measured == ExitCode.DONE and self.not_passed:
            return ExitCode.FINDINGS
        return measured


def read_waivers(path: Path) -> tuple[Waiver, ...]:
    """The waivers of a TOML file.

    Raises:
        BadInput: the file cannot be read, or holds mistakes: all of them, one a line.
    """
    content = read_toml(path, "--waivers", "write one of [[waiver]] tables")
    mistakes = [
        f"{key}: unknown key{nearest(key, ['waiver'])}" for key in content if key != "waiver"
    ]
    tables = content.get("waiver", [])
    waivers: list[Waiver] = []
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        mistakes.append(f"waiver: must be [[waiver]] tables, in two brackets, got {shown(tables)}")
        tables = []
    for number, table in enumerate(tables, 1):
        wrong = list(_mistakes(table))
        mistakes += [f"waiver {number}: {mistake}" for mistake in wrong]
        if wrong:
            continue
        waiver = Waiver.model_validate(table)
        if any((waiver.target, waiver.gate) == (one.target, one.gate) for one in waivers):
            mistakes.append(f"waiver {number}: a second one of {waiver.target} {waiver.gate}")
        waivers.append(waiver)
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise BadInput("\n".join([f"{count} in {path}", *(f"  {m}" for m in mistakes)]), _ONE_LINE)
    return tuple(waivers)


def _mistakes(table: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with one table: each key, the rule, the value and the nearest valid word."""
    keys = tuple(Waiver.model_fields)
    for key in table:
        if key not in keys:
            yield f"{key}: unknown key{nearest(key, keys)}"
    try:
        Waiver.model_validate({key: value for key, value in table.items() if key in keys})
    except ValidationError as error:
        for line in error.errors(include_url=False):
            key = str(line["loc"][0])
            valid = tuple(RULES) if key == "gate" else ()
            told = rule(line["type"], line.get("ctx", {}), line["msg"], valid)
            if key == "expires" and line["type"] != "missing":
                told = "must be a date without quotes, such as 2027-03-31"
            if line["type"] in ("string_too_short", "string_pattern_mismatch"):
                told = "must not be empty"
            got = "" if line["type"] == "missing" else f", got {shown(table[key])}"
            yield f"{key}: {told}{got}{nearest(str(table.get(key)), valid)}"


def apply(judgements: Sequence[Judgement], waivers: Sequence[Waiver], today: date) -> Verdict:
    """The judgements, with what each waiver comes to; they are for failures alone."""
    outcomes = {(one.target, one.gate.name): one.outcome for one in judgements}
    return Verdict(
        tuple(judgements),
        tuple((one, _state(one, outcomes, today)) for one in waivers),
    )


def _state(waiver: Waiver, outcomes: Mapping[tuple[str, str], str], today: date) -> State:
    outcome = outcomes.get((waiver.target, waiver.gate))
    if outcome is None:
        return "matches nothing"
    if today > waiver.expires:
        return "expired"
    if outcome == "failed":
        return "waives"
    return "not needed" if outcome == "passed" else "does not apply"
