"""The parameters that aiohttp and httpx share: how long idle connections live, and a read."""

from __future__ import annotations

from poolkit import units
from poolkit.recommend.rules import Basis, Limit, limited_hold, turn
from poolkit.records import Parameter


def kept_alive(basis: Basis, name: str, default: float, about_servers: str) -> Parameter:
    """How long a connection may idle (s): the library's default, and the server's own limit.

    `about_servers` says which servers close earlier.
    """
    seen = ""
    if basis.trial is not None:
        disconnects = units.plural(basis.trial.disconnects, "disconnect")
        seen = f" ({disconnects} seen under load, where {turn(basis) or 'no connection idles'})"
    return Parameter(
        name=name,
        value=default,
        unit="s",
        because=(
            "library default; must stay below the server's idle timeout, which was not measured: "
            f"{about_servers}{seen}"
        ),
        source="library",
    )


def limited_read(basis: Basis) -> Limit:
    """How long the server may send nothing."""
    hold = limited_hold(basis)
    return Limit(hold.seconds, f"{hold.because} without a byte", hold.is_measured)
