"""The heat map of a sweep: the numbers, the labels and the frame stand where they belong, and nothing is cut."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

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


def frames(axes) -> list[tuple[int, int]]:
    found = [patch for patch in axes.patches if isinstance(patch, Rectangle) and not patch.get_fill()]
    return [(round(patch.get_y() + 0.46), round(patch.get_x() + 0.46)) for patch in found]


def test_each_number_stands_in_its_cell_and_the_best_is_framed():
    axes = draw_heatmap(grid([[0.5, 0.25], [np.nan, 1234.0]])).axes[0]
    assert {(text.get_position()[::-1], text.get_text()) for text in axes.texts} == {
        ((0, 0), "0.5"), ((0, 1), "0.25"), ((1, 1), "1234"),
    }  # fmt: skip
    assert frames(axes) == [(0, 1)]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["row 0", "row 1"]
    assert axes.get_ylim() == (-0.5, 1.5), "the first row is the lowest"
    assert axes.get_xlabel() == "patience"
    assert axes.figure.axes[1].get_ylabel() == "val_loss", "the colour bar"
    assert axes.patch.get_hatch(), "seen where a cell is empty"


def test_equal_bests_are_all_framed_and_counted():
    axes = draw_heatmap(grid([[0.5, 0.25], [0.25, 0.25]])).axes[0]
    assert frames(axes) == [(0, 1), (1, 0), (1, 1)]
    title = axes.get_title(loc="left").replace("\n", " ")
    assert title == "val_loss, one job per cell framed: best val_loss, patience=1, min_delta=row 0, and 2 equal"


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
