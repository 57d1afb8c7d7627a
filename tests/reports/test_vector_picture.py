"""Pictures in a page: they take its colours, their names do not collide, and their texts are texts."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
from matplotlib.figure import Figure

from keepbest.reports.heatmap import Grid, draw_heatmap
from keepbest.reports.vector_picture import vector_picture

HOSTILE = "</text></svg><script>window.hit=1</script>]]>--> \x07 #0b0c0d url(#a) $x$"


def plotted(*texts: str, points: int = 5) -> Figure:
    figure = Figure(layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(points), "o-", color="#0072B2", markerfacecolor="white", label="line")
    axes.set_title(" ".join(texts), parse_math=False)
    axes.grid()
    axes.legend()
    return figure


def ids(svg: str) -> list[str]:
    return re.findall(r'\bid="([^"]*)"', svg)


def test_it_is_one_element_with_a_name_for_those_who_do_not_see_it():
    root = ElementTree.fromstring(vector_picture(plotted, "curve", 'loss "over" epochs'))
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
    svg = vector_picture(lambda: plotted(HOSTILE), "curve", HOSTILE)
    root = ElementTree.fromstring(svg)
    assert {element.tag for element in root.iter()} <= {"svg", "g", "path", "use", "text", "defs", "clipPath", "rect"}
    shown = HOSTILE.replace("\x07", "\\x07")
    assert shown in [element.text for element in root.iter("text")]
    assert "<script" not in svg


def test_many_points_become_an_image():
    few, many = (vector_picture(lambda n=n: plotted(points=n), "curve", "") for n in (5_000, 50_000))
    assert "<image" not in few
    assert "data:image/png" in many
    assert len(many) < 100_000


def test_numbers_in_cells_keep_their_own_contrast_and_empty_cells_are_the_page_s():
    values = np.array([[0.0, 1.0, np.nan]])
    grid = Grid("x", "y", ["1", "2", "3"], ["1"], values, values == 0, "loss", "loss", "mean", [1], True)
    svg = vector_picture(lambda: draw_heatmap(grid), "map", "", on_page=False)
    cells = {element.text: element.get("style") or "" for element in ElementTree.fromstring(svg).iter("text")}
    assert "fill: #ffffff" in cells["1"], "white on the dark end"
    assert "fill" not in cells["0"], "black on the bright end"
    (pattern,) = ElementTree.fromstring(svg).iter("pattern")
    assert "#" not in ElementTree.tostring(pattern, encoding="unicode").replace('id="map-', "")
