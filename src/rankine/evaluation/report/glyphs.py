"""Pictures for items without one: a tile coloured by category, with the thing it names or with initials."""

from __future__ import annotations

import re

from markupsafe import Markup

TILES = 6  # tile colours in the style sheet
THINGS = {  # drawn in symbols.html, and the words of a category that ask for them
    "cup": "coffee tea drink mug cup beverage",
    "pot": "kitchen cook pan pot food grocery",
    "lamp": "light lighting lamp lantern",
    "cushion": "textile cushion blanket linen home",
    "plant": "garden plant flower outdoor",
    "notebook": "desk paper office stationery school",
    "box": "storage box basket tidy bag",
    "candle": "candle scent",
    "note": "music song artist album track audio rock pop jazz",
    "film": "movie film video drama comedy thriller",
    "book": "book novel reading",
    "shirt": "clothing clothes shirt fashion apparel dress wear",
    "screen": "electronics computer phone screen tv device",
    "game": "game toy play",
    "bed": "hotel furniture bed travel stay",
    "drop": "soap beauty bath care cosmetic perfume",
}
_BY_WORD = {word: thing for thing, words in THINGS.items() for word in words.split()}
_TILE = Markup('<svg class="thumb p{}" viewBox="-16 0 96 64" aria-hidden="true">{}{}</svg>')
_GROUND = Markup('<rect class="ground" x="-16" width="96" height="64"/>')


class Pictures:
    """Draws tiles; a category keeps its colour through the whole page."""

    def __init__(self) -> None:
        self._colours: dict[str, int] = {}

    def tile(self, title: str, category: str | None) -> Markup:
        """The picture of one item, 3:2."""
        colour = self._colours.setdefault(category or title, len(self._colours) % TILES + 1)
        return _TILE.format(colour, _GROUND, _drawn(title, category or ""))


def thing_of(category: str) -> str | None:
    """The thing that a category names, if one is drawn here."""
    words: list[str] = re.findall(r"[a-z]+", category.lower())
    return next((_BY_WORD[form] for word in words for form in (word, word.removesuffix("s")) if form in _BY_WORD), None)


def initials(title: str) -> str:
    """The first letters of the first two words that begin with one."""
    words = [word for word in re.split(r"[\s\-_/]+", title) if word[:1].isalnum()]
    return "".join(word[0].upper() for word in words[:2]) or "?"


def _drawn(title: str, category: str) -> Markup:
    thing = thing_of(category)
    if thing is None:
        return Markup('<text class="initials" x="32" y="41">{}</text>').format(initials(title))
    return Markup('<use href="#g-{}" width="64" height="64"/>').format(thing)
