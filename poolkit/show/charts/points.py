"""Words for single points of a chart, which a browser shows where the pointer rests on them.

They lie beside the artists until `inline_svg` writes them as <title> elements, without a script. A
picture on a canvas, and a stand-alone file, does without.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from weakref import WeakKeyDictionary
from xml.etree.ElementTree import Element, SubElement

from matplotlib.artist import Artist
from matplotlib.figure import Figure

_WORDS: WeakKeyDictionary[Artist, tuple[str, ...]] = WeakKeyDictionary()
_GID = "named-points-{}"


def name_points(artist: Artist, words: Sequence[str]) -> None:
    """What each marker of a line is, in the order of its points; of another artist what it is."""
    _WORDS[artist] = tuple(words)


@contextlib.contextmanager
def marked(figure: Figure) -> Iterator[dict[str, tuple[str, ...]]]:
    """While it lasts every artist that has words carries an id, which is mapped to them."""
    found = list(figure.findobj(lambda artist: artist in _WORDS))
    named = {_GID.format(i): _WORDS[artist] for i, artist in enumerate(found)}
    before = [artist.get_gid() for artist in found]
    try:
        for gid, artist in zip(named, found, strict=True):
            artist.set_gid(gid)
        yield named
    finally:
        for artist, was in zip(found, before, strict=True):
            artist.set_gid(was)


def add_titles(drawing: Element, named: dict[str, tuple[str, ...]]) -> None:
    """Give each marker its <title>; a drawing that is no row of markers has one for the whole."""
    for group in list(drawing.iter("g")):
        words = named.get(group.get("id", ""))
        if not words:
            continue
        markers = list(group.iter("use")) or [group]
        if len(markers) != len(words):
            raise ValueError(f"{len(markers)} markers have {len(words)} names: {words[:3]}")
        for marker, said in zip(markers, words, strict=True):
            title = SubElement(marker, "title")
            title.text = said
        group.set("pointer-events", "all")  # the inside of a hollow marker, too
