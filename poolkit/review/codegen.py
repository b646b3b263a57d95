"""pools.py: ready code for every recommended pool, the reason of each value beside it.

The text is that of `templates/pools.py.j2` and of a template for each driver beside the drivers.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from typing import Any

from poolkit import units
from poolkit.recommend.session import Addressed, library_of, sessions
from poolkit.records import Parameter, Recommendation
from poolkit.redact import printable
from poolkit.review.templating import environment
from poolkit.targets import DATABASE_DRIVERS

LONGEST = 40  # characters of a Python name


def render(
    recommendations: Sequence[Recommendation],
    targets: Sequence[Addressed] = (),
    created: str = "",
    left_out: Sequence[tuple[str, str]] = (),
) -> str:
    """The source text of pools.py; it holds no password, user name or query string.

    Args:
        targets: tell the URL and the name of the DSN's variable; without one, no URL is named
            and the variable is named after the target.
        created: ISO 8601, for the first line.
        left_out: other targets that get no pool, and why.
    """
    known = {target.name: target for target in targets}
    sized = [r for r in recommendations if r.recommended_size is not None and r.parameters]
    names = identifiers(recommendation.target for recommendation in sized)
    code = {library: _template_of(library) for library in sorted({library_of(r) for r in sized})}
    is_gated = {r.target: _is_gated(r, code[library_of(r)]) for r in sized}
    has_gated = any(is_gated.values())
    spread = [p for r in sized for p in r.parameters if p.name == "start_jitter"]
    jitter = max(spread, key=lambda p: float(p.value or 0.0), default=None)
    return printable(
        environment()
        .get_template("pools.py.j2")
        .render(
            day=created[:10],
            code=code,
            first_with_gate=next(
                (name for name, driver in code.items() if _says(driver, "has_gate")), None
            ),
            has_gated=has_gated,
            jitter=jitter,
            warmed={
                library_of(r)
                for r in sized
                if any(p.name == "warm_up" for p in r.parameters)
                and _address(r, names[r.target], known.get(r.target))
            },
            uses_asyncio=has_gated
            or jitter is not None
            or not all(_says(driver, "has_own_time_limit") for driver in code.values()),
            uses_dsn=any(r.driver in DATABASE_DRIVERS for r in sized),
            left_out=[
                *((r.target, _why_not(r)) for r in recommendations if r not in sized),
                *left_out,
            ],
            pools=[
                {
                    "name": names[r.target],
                    "heading": _heading(r),
                    "parameters": by_name(r.parameters),
                    "code": code[library_of(r)],
                    "is_gated": is_gated[r.target],
                    "address": _address(r, names[r.target], known.get(r.target)),
                }
                for r in sized
            ],
            sessions=[
                {
                    "name": _unused(f"shared_{session.driver}", names.values()),
                    "because": session.because,
                    "parameters": by_name(session.parameters),
                    "code": code[session.driver],
                    "members": {
                        names[r.target]: by_name(r.parameters)
                        for r in sized
                        if r.target in session.targets
                    },
                }
                for session in sessions(sized, targets)
            ],
        )
    )


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """A valid, lower-case Python name for each target name, no two the same.

    `orders-api` becomes `orders_api`; a name that starts with a digit or is a keyword is prefixed
    with `pool_`; of names that fall together the later ones get `_2`, `_3` ... At most 40
    characters, so that the lines of the code stay within bounds.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        if name in found:
            continue
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        if not plain or plain[0].isdigit() or keyword.iskeyword(plain):
            plain = f"pool_{plain}".rstrip("_")
        unique = plain = plain[:LONGEST].rstrip("_")
        number = 1
        while unique in taken:
            number += 1
            suffix = f"_{number}"
            unique = plain[: LONGEST - len(suffix)] + suffix
        taken.add(unique)
        found[name] = unique
    return found


def by_name(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    """Parameters under their names."""
    return {parameter.name: parameter for parameter in parameters}


def _template_of(library: str) -> Any:
    """The macros of a driver's template; httpx2 has httpx's interface."""
    template = environment().get_template(f"{library.removesuffix('2')}.py.j2")
    return template.make_module({"package": library})


def _says(template: Any, name: str) -> bool:
    """What a driver's template says of its code: that a gate is part of it (`has_gate`), that it
    needs no asyncio to wait for a limited time (`has_own_time_limit`)."""
    return bool(getattr(template, name, False))


def _is_gated(recommendation: Recommendation, template: Any) -> bool:
    """Whether a gate stands before the driver's code that has none itself."""
    return not _says(template, "has_gate") and any(
        parameter.name == "gate" for parameter in recommendation.parameters
    )


def _unused(name: str, taken: Iterable[str]) -> str:
    while name in taken:  # a target may be called like this
        name += "_by_all"
    return name


def _address(recommendation: Recommendation, name: str, target: Addressed | None) -> str | None:
    """The environment variable that the DSN is read from; of HTTP the URL, None: not known."""
    if recommendation.driver in DATABASE_DRIVERS:
        return (target and target.dsn_env) or f"{name.upper()}_DSN"
    # `endpoint` has neither user nor query; the mark of a query that was cut is not part of it.
    return None if target is None else target.endpoint.removesuffix("?…").replace('"', "%22")


def _heading(recommendation: Recommendation) -> str:
    size = units.plural(recommendation.recommended_size or 0, "connection")
    text = f"{recommendation.target}: {size} for {units.rate(recommendation.target_rate)}"
    seen = recommendation.verification
    if seen is None:
        return f"{text}, not verified under load."
    wait = units.milliseconds(seen.wait_p99)
    return f"{text}; under load it carried {units.rate(seen.achieved_rate)}, p99 wait {wait}."


def _why_not(recommendation: Recommendation) -> str:
    failing = recommendation.failed_checks
    return failing[0].seen if failing else f"the measurement is {recommendation.status}"
