"""What the what-if panel shows of an answer: plain functions from a question to table and chart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from poolkit.analysis.what_if import Answer, Planner, Question, what_if
from poolkit.panels.findings import Findings
from poolkit.panels.look import picture
from poolkit.records import Sweep
from poolkit.show import charts
from poolkit.show.tables import Table
from poolkit.units import NONE, milliseconds, number, plural, rate, share

CAPTION = "Predicted from the sweep"
WIDTH, HEIGHT = 900, 560  # px


@dataclass(frozen=True)
class Asked:
    """One question, its answer, and the answer to what is asked today."""

    findings: Findings
    today: Answer
    answer: Answer

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.answer.question


def planner_of(findings: Findings) -> Planner:
    """The sweep fitted once; questions are put to this."""
    trials = tuple(trial for trial in findings.trials if trial.is_of_curve)
    return Planner.of(Sweep(target=findings.sizing.target, trials=trials), findings.objective)


def today(findings: Findings, planner: Planner) -> Asked:
    """What the target asks now, with nothing different."""
    answer = what_if(planner, Question())
    return Asked(findings, answer, answer)


def ask(before: Asked, planner: Planner, question: Question) -> Asked:
    """The answer to another question; ValueError where it cannot be meant."""
    return replace(before, answer=what_if(planner, question))


def sentence(asked: Asked) -> str:
    """The answer in one sentence."""
    answer = asked.answer
    if answer.size is None:
        because = answer.because
        if because.startswith("cannot say"):
            return f"{because[:1].upper()}{because[1:]}."
        return f"No size will do: {because}."
    text = f"{plural(answer.size, 'connection')} in each pool"
    if answer.pools > 1:
        text += f", {number(answer.connections)} in all"
    return f"{text}: {answer.because}."


def table(asked: Asked) -> Table:
    """Today and what if, side by side."""
    sides = (asked.today, asked.answer)
    rows = [
        (name, before, after)
        for (name, before), (_, after) in zip(*map(_cells, sides), strict=True)
    ]
    if any(side.size != side.pool_size for side in sides):
        sizes = [number(side.pool_size) for side in sides]
        rows.insert(1, ("figures below are for", sizes[0], sizes[1]))
    columns = ("", "today", "what if")
    return Table(CAPTION, columns, tuple(rows), frozenset({1, 2}), frozenset({0}))


def _cells(answer: Answer) -> list[tuple[str, str]]:
    return [
        ("connections needed in one pool", NONE if answer.size is None else str(answer.size)),
        ("connections of all pools", number(answer.connections)),
        ("rate of one pool", rate(answer.rate_per_pool)),
        ("wait p99", milliseconds(answer.wait_p99)),
        ("calls that wait too long", share(answer.late)),
        ("mean hold time", milliseconds(answer.hold_time)),
        ("response p99", milliseconds(answer.response_p99)),
        ("connections busy", share(answer.utilisation)),
        ("plateau left free", _margin(answer.plateau_margin)),
    ]


def _margin(margin: float | None) -> str:
    if margin is None:
        return NONE
    return share(margin) if margin >= 0 else f"none, {share(-margin)} above it"


def scene(asked: Asked) -> charts.Scene:
    """What the chart shows: the curve as it would be, the rate, and the size that it takes."""
    answer, findings = asked.answer, asked.findings
    objective = answer.objective
    return charts.what_if(
        findings.sizing,
        findings.trials,
        size=answer.size,
        target_rate=objective.rate,
        wait_p99=objective.wait_p99,
        response_p99=objective.response_p99,
        limited_by=answer.limited_by,
        pools=answer.pools,
        pools_left=answer.pools_left,
        hold_factor=asked.question.get("hold_factor") or 1.0,
    )


def chart(asked: Asked) -> str:
    """The chart as an <img> with its words."""
    drawn = scene(asked)
    png = charts.live_png(drawn, WIDTH, HEIGHT)
    return picture(png, charts.scene_alt_text(drawn), WIDTH, HEIGHT)


def svg(asked: Asked) -> str:
    """The chart as an <svg> element that follows the page's theme, for where nothing moves."""
    drawn = scene(asked)
    axes = charts.throughput_curve(
        drawn.sizing, drawn.trials, drawn.recommendation, pools=drawn.pools
    )
    alt = charts.scene_alt_text(drawn)
    return f"<figure>{charts.inline_svg(axes.figure, alt=alt, label='what-if')}</figure>"


def words(asked: Asked) -> str:
    """Sentence and table."""
    return f'<p role="status">{escape(sentence(asked))}</p>{table(asked).html()}'
