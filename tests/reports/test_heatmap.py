"""The heat map of a sweep: the numbers, the labels and the frame stand where they belong, and nothing is cut."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from keepbest.reports.heatmap import Grid, draw_heatmap


def grid(values, **changes) -> Grid:
    values = np.array(values, dtype=float)
    made = Grid(
        x="patience",
        y="min_delta",
        columns=[str(n) for n in range(values.shape[1])],
        rows=[f"row {n}" for n in range(values.shape[0])],
        values=values,
        best=values == np.nanmin(values),
        name="val_loss",
        monitor="val_loss",
        aggregate="mean",
        counts=[1],
        lower_is_better=True,
    )
    return made._replace(**changes)


def framed(axes) -> set:
    """Return the sides of cells that have a line, each by the two cells that it lies between."""
    (lines,) = [found for found in axes.collections if isinstance(found, LineCollection)]
    sides = set()
    for (x0, y0), (x1, y1) in lines.get_segments():
        for x in np.arange(x0, x1) + 0.5:
            sides.add(((y0 - 0.5, x), (y0 + 0.5, x)))
        for y in np.arange(y0, y1) + 0.5:
            sides.add(((y, x0 - 0.5), (y, x0 + 0.5)))
    return sides


def outline(best) -> set:
    """Return the sides between the best cells and others, or nothing."""
    cells = {(int(row), int(column)) for row, column in zip(*np.nonzero(best), strict=True)}
    return {
        tuple(sorted([cell, other]))
        for cell in cells
        for other in [(cell[0] + 1, cell[1]), (cell[0] - 1, cell[1]), (cell[0], cell[1] + 1), (cell[0], cell[1] - 1)]
        if other not in cells
    }


def test_each_number_stands_in_its_cell_and_the_best_is_framed():
    axes = draw_heatmap(grid([[0.5, 0.25], [np.nan, 1234.0]])).axes[0]
    assert {(text.get_position()[::-1], text.get_text()) for text in axes.texts} == {
        ((0, 0), "0.5"), ((0, 1), "0.25"), ((1, 1), "1234"),
    }  # fmt: skip
    assert framed(axes) == {((-1, 1), (0, 1)), ((0, 0), (0, 1)), ((0, 1), (0, 2)), ((0, 1), (1, 1))}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["row 0", "row 1"]
    assert axes.get_ylim() == (-0.5, 1.5), "the first row is the lowest"
    assert axes.get_xlabel() == "patience"
    assert axes.figure.axes[1].get_ylabel() == "val_loss", "the colour bar"
    assert axes.patch.get_hatch(), "seen where a cell is empty"


def test_equal_bests_are_all_framed_and_counted():
    axes = draw_heatmap(grid([[0.5, 0.25], [0.25, 0.25]])).axes[0]
    assert framed(axes) == outline([[False, True], [True, True]])
    title = axes.get_title(loc="left").replace("\n", " ")
    assert title == "val_loss, one job per cell framed: best val_loss, patience=1, min_delta=row 0, and 2 equal"


def test_no_best_of_many_looks_worse_than_the_others():
    values = np.ones((5, 40))
    values[3, 3:] = values[4, :11] = 2
    case = grid(values)
    assert case.best.sum() == 152
    assert framed(draw_heatmap(case).axes[0]) == outline(case.best)


@pytest.mark.parametrize(
    ("counts", "text"),
    [([1], "one job per cell"), ([3], "mean of 3 jobs per cell"), ([1, 2, 5], "mean of 1 to 5 jobs")],
)
def test_the_title_says_how_many_jobs_a_number_is_made_of(counts, text):
    figure = draw_heatmap(grid([[0.5, 0.25]], counts=counts))
    assert text in figure.axes[0].get_title(loc="left")
    assert figure.axes[1].get_ylabel() == ("val_loss" if counts == [1] else "val_loss (mean)")


@pytest.mark.parametrize("lower_is_better", [True, False])
def test_good_scores_are_bright(lower_is_better):
    image = draw_heatmap(grid([[0.0, 1.0]], lower_is_better=lower_is_better)).axes[0].get_images()[0]
    low, high = (sum(image.cmap(image.norm(value))[:3]) for value in (0.0, 1.0))
    assert bool(low > high) is lower_is_better


def test_a_large_grid_has_no_numbers_and_a_readable_number_of_ticks():
    values = np.arange(100 * 90, dtype=float).reshape(100, 90)
    axes = draw_heatmap(grid(values)).axes[0]
    assert len(axes.texts) == 0
    assert len(axes.get_xticks()) <= 40
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["0", "3", "6"]
    assert max(axes.figure.get_size_inches()) <= 14


@pytest.mark.parametrize(("width", "has_numbers"), [(10.6, True), (3.3, False)])
def test_numbers_are_written_where_they_can_be_read(width, has_numbers):
    axes = Figure(figsize=(width, 4), layout="constrained").add_subplot()
    draw_heatmap(grid(np.arange(200.0).reshape(5, 40) % 90), axes)
    assert len(axes.texts) == 200 * has_numbers
    assert all(text.get_fontsize() >= 7 for text in [*axes.texts, *axes.get_xticklabels(), axes.title])


def test_a_colour_bar_has_no_invented_numbers():
    assert len(draw_heatmap(grid([[5.0, 5.0]])).axes) == 1, "one value needs none"
    assert len(draw_heatmap(SIZES["no value at all"]).axes) == 1, "no value as well"
    figure = draw_heatmap(grid([[5.0, 7.0]]))
    figure.draw_without_rendering()
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["5", "6", "7"]
    figure = draw_heatmap(grid([[0.5, 0.75]]))
    assert len(figure.axes[1].get_yticks()) > 3


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_in_axes_of_somebody_elses_it_leaves_the_neighbour_alone(layout):
    figure = Figure(figsize=(7, 3), layout=layout)
    left, right = figure.subplots(1, 2)
    right.set_title("a neighbour's title", loc="left")
    draw_heatmap(grid(np.arange(200.0).reshape(5, 40)), left)
    figure.draw_without_rendering()
    assert left._left_title.get_window_extent().x1 < right.get_window_extent().x0
    labels = [label.get_window_extent() for label in left.get_xticklabels()]
    assert len(labels) >= 5
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(labels))


def test_it_draws_in_the_axes_that_are_given():
    axes = Figure().subplots(1, 2)
    assert draw_heatmap(grid([[1.0]]), axes[1]) is axes[0].figure
    assert len(axes[0].get_images()) == 0
    assert len(axes[1].get_images()) == 1


LONG = "a.rather.long.key.of.somebodys.model"
SIZES = {
    "one cell": grid([[1.0]]),
    "a row": grid([[0.1] * 20]),
    "a column": grid([[0.1]] * 20),
    "long labels": grid(
        np.eye(3), columns=[LONG + str(n) for n in range(3)], rows=[LONG] * 3, x=LONG, y=LONG, monitor=LONG
    ),
    "no value at all": grid([[0.1, 0.2]])._replace(values=np.full((1, 2), np.nan), best=np.zeros((1, 2), bool)),
    "large": grid(np.ones((60, 100))),
}


@pytest.mark.parametrize("case", SIZES.values(), ids=SIZES)
def test_nothing_is_cut(case):
    figure = draw_heatmap(case)
    figure.savefig(io.BytesIO(), format="png")
    whole = figure.bbox
    for axes in figure.axes:
        texts = [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, *axes.get_xticklabels(), *axes.texts]
        for text in [*texts, *axes.get_yticklabels()]:
            box = text.get_window_extent()
            if text.get_text() and text.get_visible():
                assert box.x0 >= whole.x0 - 1, text
                assert box.x1 <= whole.x1 + 1, text
                assert box.y0 >= whole.y0 - 1, text
                assert box.y1 <= whole.y1 + 1, text


def test_a_notebook_shows_the_picture():
    assert draw_heatmap(grid([[1.0]]))._repr_png_().startswith(b"\x89PNG")
