"""What the code of aiohttp's and httpx's pools has in common: a client, and a gate in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poolkit import units
from poolkit.recommend.session import Session
from poolkit.records import Parameter, Recommendation
from poolkit.review.codegen.source import argument, assignment, by_name, comment, docstring, literal
from poolkit.targets import Target


@dataclass(frozen=True, slots=True)
class Part:
    """An object that the client is made with: `variable = callee(key=..., ...)`."""

    variable: str
    callee: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Client:
    """How a library's client is written.

    Attributes:
        noun: what it is called: `NAME_session` makes a session.
        made: its class. parts: what it is made with. how: what to know when making it, a sentence.
        pool: the class that puts it behind a gate. has_total: whether that one limits whole calls.
    """

    noun: str
    made: str
    how: str
    parts: tuple[Part, ...]
    pool: str
    has_total: bool = False


def render(
    client: Client, name: str, recommendation: Recommendation, target: Target | None
) -> list[str]:
    """The functions `NAME_<noun>` and `NAME_pool`, and the URL they were measured with."""
    p = by_name(recommendation.parameters)
    lines = []
    if target is not None:
        # `endpoint` has neither user nor query; the mark of a query that was cut is not part of it.
        url = target.endpoint.removesuffix("?…").replace('"', "%22")
        lines += [*assignment(f"{name.upper()}_URL", literal(url)), "", ""]
    return [
        *lines,
        *_maker(client, f"{name}_{client.noun}", client.how, p),
        "",
        "",
        "@asynccontextmanager",
        f"async def {name}_pool() -> AsyncIterator[{client.pool}]:",
        *docstring(f"The {client.noun} behind its gate; closed when the block ends.", 1),
        f"    async with {name}_{client.noun}() as {client.noun}:",
        *comment(p["gate"].because, 2),
        *comment(p["gate_timeout"].because, 2),
        f"        gate = {_gate(p)}",
        *(comment(p["total"].because, 2) if client.has_total else ()),
        f"        yield {_pool(client, 'gate', p)}",
    ]


def render_shared(
    client: Client,
    session: Session,
    recommendations: Sequence[Recommendation],
    names: Mapping[str, str],
) -> list[str]:
    """The functions `shared_DRIVER_<noun>` and `shared_DRIVER_pools`: one client for several."""
    p = by_name(session.parameters)
    function = f"shared_{session.driver}"
    while function in names.values():  # a target may be called like this
        function += "_by_all"
    members = [r for r in recommendations if r.target in session.targets]
    lines = [
        *_maker(
            client,
            f"{function}_{client.noun}",
            f"One {client.noun} for {units.plural(len(members), 'target')}, in place of one each.",
            p,
        ),
        "",
        "",
        "@asynccontextmanager",
        f"async def {function}_pools() -> AsyncIterator[dict[str, {client.pool}]]:",
        *docstring(
            f"Every target behind its own gate on one {client.noun}; closed when the block ends.", 1
        ),
        f"    async with {function}_{client.noun}() as {client.noun}:",
        "        yield {",
    ]
    for member in members:
        own = by_name(member.parameters)
        key = literal(names[member.target])
        line = f"            {key}: {_pool(client, _gate(own), own)},"
        if len(line) <= 100:
            lines.append(line)
            continue
        lines += [
            f"            {key}: {client.pool}(",
            f"                {', '.join(_arguments(client, _gate(own), own))}",
            "            ),",
        ]
    return [*lines, "        }"]


def _maker(
    client: Client, function: str, how: str, parameters: Mapping[str, Parameter]
) -> list[str]:
    lines = [f"def {function}() -> {client.made}:", *docstring(how, 1)]
    for part in client.parts:
        lines.append(f"    {part.variable} = {part.callee}(")
        for key in part.keys:
            lines += argument(key, parameters[key], 2)
        lines.append("    )")
    given = ", ".join(f"{part.variable}={part.variable}" for part in client.parts)
    return [*lines, f"    return {client.made}({given})"]


def _gate(parameters: Mapping[str, Parameter]) -> str:
    size, wait = parameters["gate"], parameters["gate_timeout"]
    return f"Gate({literal(size.value)}, timeout={literal(wait.value)})"


def _pool(client: Client, gate: str, parameters: Mapping[str, Parameter]) -> str:
    return f"{client.pool}({', '.join(_arguments(client, gate, parameters))})"


def _arguments(client: Client, gate: str, parameters: Mapping[str, Parameter]) -> list[str]:
    total = [f"total={literal(parameters['total'].value)}"] if client.has_total else []
    return [client.noun, gate, *total]
