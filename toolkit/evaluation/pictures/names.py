"""Names that users chose (of classes and files), made fit to be drawn.

They come in any script, any length, and with characters that matplotlib would take as formulae.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg

from toolkit.evaluation.pictures.canvas import DPI, missing_glyphs_allowed

BASE = "DejaVu Sans"  # comes with matplotlib


def plain(text: str | Iterable[str]) -> dict[str, Any]:
    """Gives the text properties to draw a name, or all of several, letter by letter.

    Example:
        >>> plain("a$b$c")
        {'parse_math': False, 'fontfamily': ['DejaVu Sans']}
    """
    characters = frozenset(character for part in text for character in part)
    return {"parse_math": False, "fontfamily": [BASE, *_fallbacks(characters - _base())]}


def shorten(name: str, inches: float, size: float) -> str:
    """Shortens a name in its middle until it fits: names differ at their ends.

    Line breaks and other characters that can't be printed become U+FFFD.

    Args:
        name: Any text.
        inches: The width to fit in.
        size: The font's size in points.

    Returns:
        The name, or its first and last characters with an ellipsis between them.
    """
    name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    # No script's letters are so narrow on average; a file's text as its name stays cheap.
    name = _cut(name, min(len(name), round(20 * 72 * inches / size)))
    if width(name, size) <= inches:
        return name
    low, high = 1, len(name)  # the number of characters kept, by bisection
    while low < high:
        middle = (low + high + 1) // 2
        if width(_cut(name, middle), size) <= inches:
            low = middle
        else:
            high = middle - 1
    return _cut(name, low)


def _cut(name: str, keep: int) -> str:
    tail = keep // 2
    return name if keep >= len(name) else f"{name[: keep - tail]}…{name[len(name) - tail :]}"


def width(text: str, size: float) -> float:
    """Gives the width in inches of a text drawn at that size in points."""
    font = font_manager.FontProperties(family=plain(text)["fontfamily"], size=size)
    with missing_glyphs_allowed():
        pixels, _, _ = RendererAgg(1, 1, DPI).get_text_width_height_descent(text, font, False)
    return pixels / DPI


@lru_cache(maxsize=1)
def _base() -> frozenset[str]:
    font = font_manager.findfont(font_manager.FontProperties(family=[BASE]))
    return frozenset(map(chr, font_manager.get_font(font).get_charmap()))


@lru_cache(maxsize=64)
def _fallbacks(missing: frozenset[str]) -> tuple[str, ...]:
    """Gives the installed families that have these characters, the best first."""
    families: list[str] = []
    candidates = _upright_fonts() if missing else []
    while missing and candidates:
        covers = {entry.name: _covered(missing, entry.fname) for entry in candidates}
        best = max(covers, key=lambda name: len(covers[name]))
        if not covers[best]:
            break
        families.append(best)
        missing -= covers[best]
    return tuple(families)


def _upright_fonts() -> list[font_manager.FontEntry]:
    return sorted(
        (
            entry
            for entry in font_manager.fontManager.ttflist
            if entry.style == "normal"
            and entry.weight in (400, "normal", "regular")
            and not entry.name.startswith("Last Resort")  # boxes for every character there is
        ),
        key=lambda entry: ("Sans" not in entry.name, entry.name),
    )


def _covered(characters: frozenset[str], path: str) -> frozenset[str]:
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):  # matplotlib's list of fonts may be older than the folder
        return frozenset()
    return frozenset(c for c in characters if font.get_char_index(ord(c)))
