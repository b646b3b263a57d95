"""The form of the sweep panel: its controls, what stands in them while empty, what they ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from poolkit.errors import BadInput
from poolkit.measure import SIZE_BUDGET, SWEEP_BUDGET
from poolkit.measure.cold import BUDGET as COLD_BUDGET
from poolkit.panels.panel import grid
from poolkit.panels.request import Request, read_count, read_number, read_sizes, together
from poolkit.targets.objective import Objective

AS_ASKED = "the target's"  # where its file cannot be read before it is measured


@dataclass(frozen=True, slots=True)
class Texts:
    """What is written in the form's fields; empty means that nothing is asked there."""

    sizes: str = ""
    budget: str = ""
    rate: str = ""
    wait: str = ""
    fleet: str = ""

    @classmethod
    def of(cls, request: Request) -> Texts:
        """The texts that ask for this request."""
        wait = None if request.wait_p99 is None else request.wait_p99 * 1000
        figures = (request.budget, request.target_rate, wait, request.fleet)
        return cls(", ".join(map(str, request.sizes)), *map(_text, figures))


def placeholders(asked: Objective | None, *, verify: bool, cold: bool = False) -> Texts:
    """What an empty field means for this target; `asked` is None where that is not known."""
    sizes, rate, wait = "chosen", AS_ASKED, AS_ASKED
    if asked is not None:
        sizes = f"up to {asked.max_size}"
        rate = _text(asked.target_rate)
        wait = "none" if asked.wait_p99 is None else _text(asked.wait_p99 * 1000)
    budget = SIZE_BUDGET + COLD_BUDGET * cold if verify else SWEEP_BUDGET
    return Texts(sizes, _text(budget), rate, wait, "1")


def read(
    texts: Texts,
    *,
    target: str,
    verify: bool,
    push: bool,
    again: bool,
    cold: bool = False,
    most: int | None = None,
) -> Request:
    """The request that a form asks.

    Every field is read before anything is refused: a word where a number must stand comes first,
    then a number out of bounds, then what does not go together. What else is wrong follows it.

    Args:
        most: connections that the target may have; None: not known.

    Raises:
        BadInput: something is wrong, the most telling mistake first.
    """
    mistakes: list[BadInput] = []
    sizes: tuple[int, ...] = ()
    try:
        sizes = read_sizes(texts.sizes, most)
    except BadInput as mistake:
        mistakes.append(mistake)
    numbers: list[float | None] = []
    for text, name, unit in (
        (texts.budget, "budget", "s"),
        (texts.rate, "target rate", "calls/s"),
        (texts.wait, "wait target", "ms"),
    ):
        try:
            numbers.append(read_number(text, name, unit))
        except BadInput as mistake:
            mistakes.append(mistake)
            numbers.append(None)
    fleet: int | None = None
    try:
        fleet = read_count(texts.fleet, "generators")
    except BadInput as mistake:
        mistakes.append(mistake)
    budget, rate, wait = numbers
    wait = None if wait is None else wait / 1000
    try:
        asked = Request(target, sizes, budget, rate, wait, verify, push, again, fleet, cold)
    except BadInput as mistake:
        mistakes.append(mistake)
    if mistakes:
        raise together(mistakes)
    return asked


class Form:
    """The controls of one panel.

    Args:
        names: of the targets; `request` is what they show first.
        asked: what a target asks, as far as that is known before it is measured.
        changed: called with whether it was the target, whenever a person changes something.
    """

    def __init__(
        self,
        names: Sequence[str],
        target: str,
        request: Request,
        asked: Callable[[str], Objective | None],
        changed: Callable[[bool], object],
    ) -> None:
        import ipywidgets

        self._asked = asked
        self._changed = changed
        self._is_filling = False
        wide: Any = {"layout": {"width": "auto"}}
        style: Any = {"style": {"description_width": "7.5rem"}, **wide}
        self.target = ipywidgets.Dropdown(
            options=list(names), value=target, description="Target", **style
        )
        given = Texts.of(request)
        self.sizes, self.budget, self.rate, self.wait, self.fleet = (
            ipywidgets.Text(value, description=name, tooltip=tip, **style)
            for value, name, tip in (
                (given.sizes, "Sizes", "pool sizes to measure, as 1, 2, 4, 8; empty: chosen"),
                (given.budget, "Budget (s)", "seconds of load, at most"),
                (
                    given.rate,
                    "Target rate (/s)",
                    "calls per second to sustain; empty: as it asks",
                ),
                (
                    given.wait,
                    "Wait p99 (ms)",
                    "longest good p99 wait for a connection; empty: as it asks",
                ),
                (
                    given.fleet,
                    "Generators",
                    "processes that send the load together, each a replica; empty: as the file "
                    "says, usually 1",
                ),
            )
        )
        self.verify, self.gently, self.cold, self.again = (
            ipywidgets.Checkbox(value=value, description=name, tooltip=tip, indent=False, **wide)
            for value, name, tip in (
                (request.verify, "Verify the size under load", "try it at the target rate"),
                (
                    not request.push,
                    "No load above the target rate",
                    "push = false: a verified size without the plateau and the knees",
                ),
                (
                    request.cold,
                    "Try cold starts",
                    "begin with empty pools at the target rate, as replicas after a restart do; up "
                    "to 15 s more load",
                ),
                (
                    request.again,
                    "Measure again",
                    "Measure anew what was measured before; that is kept beside it",
                ),
            )
        )
        self.fields = [self.target, self.sizes, self.budget, self.rate, self.wait, self.fleet]
        self.fields += [self.verify, self.gently, self.cold, self.again]
        self.box = grid(self.fields, "17rem")
        for field in self.fields:
            field.observe(self._on_change, names="value")
        self._explain()

    def request(self) -> Request:
        """What the controls ask; BadInput where they cannot be meant."""
        name = self.target.value or ""
        asked = self._asked(name)
        return read(
            Texts(
                self.sizes.value,
                self.budget.value,
                self.rate.value,
                self.wait.value,
                self.fleet.value,
            ),
            target=name,
            verify=self.verify.value,
            push=not self.gently.value,
            cold=self.cold.value,
            again=self.again.value,
            most=None if asked is None else asked.max_size,
        )

    def clear_again(self) -> None:
        """Have the next start go on from what this one measures: no change by a person."""
        self._is_filling = True
        try:
            self.again.value = False
        finally:
            self._is_filling = False

    def _on_change(self, change: Any) -> None:
        self._explain()
        if not self._is_filling:
            self._changed(change["owner"] is self.target)

    def _explain(self) -> None:
        """What empty fields mean, for this target."""
        empty = placeholders(
            self._asked(self.target.value or ""),
            verify=self.verify.value,
            cold=self.cold.value,
        )
        self.sizes.placeholder = empty.sizes
        self.budget.placeholder = empty.budget
        self.rate.placeholder, self.wait.placeholder = empty.rate, empty.wait
        self.fleet.placeholder = empty.fleet


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:g}"
