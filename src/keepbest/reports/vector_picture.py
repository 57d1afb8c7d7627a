"""A matplotlib figure as part of a page: inline SVG that takes the page's colours and font."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

from keepbest.errors import printable
from keepbest.reports.picture import axes_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that stand for one of the page's; nothing else in a picture has them.
_INK, _QUIET = "#0b0c0d", "#0b0c0e"
_COLOURS = {_INK: "currentColor", _QUIET: "var(--quiet)", "#000000": "currentColor", "#0072b2": "var(--blue)"}
_ON_PAGE = _COLOURS | {"#ffffff": "var(--surface)", "#d9d9d9": "var(--rule)"}
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # of matplotlib's own: its widths are known everywhere, and the page's are smaller
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.dpi": 144,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _QUIET,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _QUIET,
    "grid.linewidth": 0.7,
}
_PIXELS_PER_POINT = 1.3  # a font size of 10 points is one of 13 pixels, as the page's own small text
WIDE, HALF, NARROW = (10.6, 4.4), (5.2, 4.4), (3.3, 4.0)
"""Inches of pictures as wide as a page's text, as half of it, and as a telephone: texts have the same size in all."""
_MIDDLE = 6.0  # inches across of what a tablet shows in place of a wider picture
_MOST_POINTS = 20_000  # of all lines; more are drawn as an image
_TAGS = frozenset({"svg", "g", "path", "use", "text", "tspan", "image", "defs", "clipPath", "rect", "pattern"})
_FONT = re.compile(r"font-family: [^;]*; ?")
_REFERENCE = re.compile(r"#([\w.-]+)")


def vector_picture(
    draw: Callable[[Any], object],
    name: str,
    text: str,
    *,
    size: tuple[float, float] = WIDE,
    narrow: tuple[float, float] = NARROW,
    on_page: bool = True,
) -> Markup:
    """Return two or three SVG elements, of which the page shows the one that suits its width.

    Args:
        draw: draws into the axes that it is given.
        name: of the picture on its page, letters and dashes: the ids of several must not collide.
        text: what it shows, for those who do not see it.
        size: width and height in inches.
        narrow: the same on a narrow page.
        on_page: whether white in it is the page's own colour; False where it stands on other colours.
    """
    import matplotlib as mpl

    sizes = {"wide": size, "middle": (_MIDDLE, size[1])} if size[0] > _MIDDLE else {"wide middle": size}
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        return Markup().join(
            _element(_drawn(draw, inches), f"{name}-{shown.partition(' ')[0]}", text, shown, on_page=on_page)
            for shown, inches in {**sizes, "narrow": narrow}.items()
        )


def _drawn(draw: Callable[[Any], object], size: tuple[float, float]) -> Figure:
    axes = axes_of(None, size)
    draw(axes)
    figure: Figure = axes.figure
    _make_printable(figure)
    _bound(figure)
    return figure


def _element(figure: Figure, name: str, text: str, shown: str, *, on_page: bool) -> Markup:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    width, _ = figure.get_size_inches()
    root = ElementTree.fromstring(content.getvalue())
    return _inline(root, name, text, float(width) * 72 * _PIXELS_PER_POINT, shown, on_page=on_page)


def _make_printable(figure: Figure) -> None:
    """Escape characters that XML cannot hold."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if (shown := printable(text.get_text())) != text.get_text():
            text.set_text(shown)


def _bound(figure: Figure) -> None:
    """Draw as an image what would be megabytes of paths."""
    from matplotlib.collections import QuadMesh

    lines = [line for axes in figure.axes for line in axes.get_lines()]
    if sum(np.size(line.get_xdata()) for line in lines) > _MOST_POINTS:
        for line in lines:
            line.set_rasterized(True)
    for axes in figure.axes:
        for shown in axes.collections:
            if isinstance(shown, QuadMesh):  # the steps of a colour bar
                shown.set_rasterized(True)


def _inline(root: Any, name: str, text: str, width: float, shown: str, *, on_page: bool) -> Markup:
    for element in root.iter():
        element.tag = _local(element.tag)
    _prune(root)
    elements = list(root.iter())
    used = set(_references(elements))
    hatched = {id(element) for pattern in root.iter("pattern") for element in pattern.iter()}
    for element in elements:
        colours = _ON_PAGE if on_page or id(element) in hatched else _COLOURS
        element.attrib = dict(_attributes(element, name, used, colours))
    box = root.get("viewBox")
    root.attrib = {"viewBox": box, "role": "img", "aria-label": printable(text), "style": f"--width: {width:.0f}px"}
    root.attrib["class"] = shown
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _local(name: str) -> str:
    """Return a name without its namespace, which a page's SVG has by itself."""
    return name.rpartition("}")[2]


def _prune(element: Any) -> None:
    """Remove what a page has no use for: metadata, styles of their own, and whatever draws nothing."""
    for child in list(element):
        if child.tag in _TAGS:
            _prune(child)
        else:
            element.remove(child)


def _references(elements: list[Any]) -> Iterator[str]:
    for element in elements:
        for key, value in element.attrib.items():
            if _local(key) in ("href", "clip-path", "style", "fill") and not value.startswith("data:"):
                yield from _REFERENCE.findall(value)


def _attributes(element: Any, name: str, used: set[str], colours: dict[str, str]) -> Iterator[tuple[str, str]]:
    for whole, value in element.attrib.items():
        key = _local(whole)
        if key == "id":
            if value in used:
                yield key, f"{name}-{value}"
        elif key == "href" and value.startswith("data:"):
            yield key, value
        elif key in ("href", "clip-path"):
            yield key, _REFERENCE.sub(rf"#{name}-\1", value)
        elif key in ("style", "fill"):
            yield key, _coloured(value, name, colours)
        elif key != "space":
            yield key, value


def _coloured(style: str, name: str, colours: dict[str, str]) -> str:
    style = _FONT.sub("", re.sub(r"url\(#([\w.-]+)\)", rf"url(#{name}-\1)", style))
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: colours.get(found[0], found[0]), style)
