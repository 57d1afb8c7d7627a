"""Pictures in a page: they take its colours, their names do not collide, and their texts are texts."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from xml.etree import ElementTree

import numpy as np

from keepbest.reports.heatmap import Grid, draw_heatmap
from keepbest.reports.vector_picture import HALF, vector_picture

HOSTILE = "</text></svg><script>window.hit=1</script>]]>--> \x07 #0b0c0d url(#a) $x$"


def plotted(axes: Any, *texts: str, points: int = 5) -> None:
    axes.plot(range(points), "o-", color="#0072B2", markerfacecolor="white", label="line")
    axes.set_title(" ".join(texts), parse_math=False)
    axes.grid()
    axes.legend()


def wide(svg: str) -> ElementTree.Element:
    root, *others = ElementTree.fromstring(f"<div>{svg}</div>")
    assert [one.get("class") for one in (root, *others)] == ["wide", "middle", "narrow"]
    return root


def ids(svg: str) -> list[str]:
    return re.findall(r'\bid="([^"]*)"', svg)


def test_it_is_an_element_with_a_name_for_those_who_do_not_see_it():
    root = wide(vector_picture(plotted, "curve", 'loss "over" epochs'))
    assert root.tag == "svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'loss "over" epochs'
    assert "http" not in ElementTree.tostring(root, encoding="unicode")


def test_text_axes_and_background_are_the_page_s():
    svg = vector_picture(plotted, "curve", "")
    assert "fill: currentColor" in svg
    assert "stroke: var(--quiet)" in svg
    assert "var(--blue)" in svg
    assert "fill: var(--surface)" in svg, "the inside of markers"
    assert not re.search(r"#(ffffff|000000|0b0c0d|0b0c0e)", svg)
    assert "font-family" not in svg


def test_texts_have_the_same_size_in_narrow_pictures():
    roots = ElementTree.fromstring(f"<div>{vector_picture(plotted, 'curve', '')}</div>")
    widths = [float(root.get("viewBox").split()[2]) for root in roots]
    sizes = [
        {re.search(r"font(?:-size)?: ([\d.]+)px", text.get("style"))[1] for text in root.iter("text")} for root in roots
    ]
    assert widths == [763.2, 432.0, 237.6]
    assert sizes[0] == sizes[1] == sizes[2]


def test_a_picture_of_half_a_page_suits_a_tablet_as_it_is():
    roots = ElementTree.fromstring(f"<div>{vector_picture(plotted, 'curve', '', size=HALF)}</div>")
    assert [root.get("class") for root in roots] == ["wide middle", "narrow"]


def test_ids_are_those_that_are_used_and_differ_between_pictures():
    first, second = (vector_picture(plotted, name, "") for name in ("one", "two"))
    for svg, name in ((first, "one"), (second, "two")):
        assert ids(svg)
        assert all(found.startswith(f"{name}-") for found in ids(svg))
        used = re.findall(r'(?:url\(|href=")#([\w.-]+)', svg)
        assert set(used) == set(ids(svg))
    assert not set(ids(first)) & set(ids(second))


def test_the_same_picture_is_the_same_text():
    assert vector_picture(plotted, "curve", "") == vector_picture(plotted, "curve", "")


def test_hostile_texts_stay_as_they_are():
    svg = vector_picture(lambda axes: plotted(axes, HOSTILE), "curve", HOSTILE)
    root = wide(svg)
    assert {element.tag for element in root.iter()} <= {"svg", "g", "path", "use", "text", "defs", "clipPath", "rect"}
    shown = HOSTILE.replace("\x07", "\\x07")
    assert shown in [element.text for element in root.iter("text")]
    assert "<script" not in svg


def test_many_points_become_an_image():
    few, many = (vector_picture(lambda axes, n=n: plotted(axes, points=n), "curve", "") for n in (5_000, 50_000))
    assert "<image" not in few
    assert "data:image/png" in many
    assert len(many) < 100_000


def test_numbers_in_cells_keep_their_own_contrast_and_empty_cells_are_the_page_s():
    values = np.array([[0.0, 1.0, np.nan]])
    grid = Grid("x", "y", ["1", "2", "3"], ["1"], values, values == 0, "loss", "loss", "mean", [1], True)
    root = wide(vector_picture(partial(draw_heatmap, grid), "map", "", on_page=False))
    styles = [(element.text, element.get("style") or "") for element in root.iter("text")]
    cells = {text: style for text, style in styles if "text-anchor: start" not in style}
    assert "fill: #ffffff" in cells["1"], "white on the dark end"
    assert "fill" not in cells["0"], "black on the bright end"
    (pattern,) = root.iter("pattern")
    assert "#" not in ElementTree.tostring(pattern, encoding="unicode").replace('id="map-', "")
