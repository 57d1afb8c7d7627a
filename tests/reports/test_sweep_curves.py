"""The curves of a sweep: a line per training, a mark where jobs end, the best job in front."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from keepbest.reports.sweep_curves import JobEnd, TrainingCurve, draw_sweep_curves
from keepbest.reports.vector_picture import vector_picture


def curve(name: str, values=(1.0, 0.6, 0.5, 0.7), ends=((0, 3),), best=None, epochs=None) -> TrainingCurve:
    epochs = range(len(values)) if epochs is None else epochs
    jobs = [JobEnd(number, epoch, epoch + 1) for number, epoch in ends]
    return TrainingCurve(name, list(zip(epochs, values, strict=True)), jobs, best)


def drawn(*curves: TrainingCurve):
    return draw_sweep_curves(curves, "val_loss", "a title").axes[0]


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []


def test_lines_ends_and_the_best_stand_where_they_belong():
    axes = drawn(curve("seed=1", (0.9, 0.8, 0.7, 0.9)), curve("seed=2", ends=((1, 1), (2, 3), (3, 3)), best=(2, 0.5)))
    best, its_ends, other, _, star, _ = axes.get_lines()
    assert list(best.get_ydata()) == [1.0, 0.6, 0.5, 0.7]
    assert best.get_linewidth() > other.get_linewidth()
    assert (list(its_ends.get_xdata()), list(its_ends.get_ydata())) == ([1, 3], [0.6, 0.7])
    assert (list(star.get_xdata()), list(star.get_ydata())) == ([2], [0.5])
    assert legend(axes) == ["seed=2 (3 jobs)", "seed=1 (1 job)", "the best job's best", "a job ends"]
    assert [text.get_text() for text in axes.texts] == ["job 1", "job 0"], "of two ends at one place, the higher one"
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")) == ("epoch", "val_loss", "a title")


@pytest.mark.parametrize(("count", "are_apart"), [(8, True), (9, False)])
def test_up_to_eight_trainings_are_told_apart(count, are_apart):
    axes = drawn(*(curve(f"seed={n}", (1, 0.6 + n, 0.5, 0.7), best=(2, 0.5) if n == 4 else None) for n in range(count)))
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 4]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in lines}) == (8 if are_apart else 2)
    signs = ["the best job's best", "a job ends"]
    if are_apart:
        assert legend(axes) == [f"seed={n} (1 job)" for n in (4, 0, 1, 2, 3, 5, 6, 7)] + signs
    else:
        assert legend(axes) == ["the best job's training", "the other trainings", *signs]
        best, others = axes.get_legend().get_lines()[:2]
        assert (best.get_color(), others.get_color()) == (lines[0].get_color(), lines[1].get_color())
    looks = {(line.get_color(), line.get_linestyle()) for line in lines[1:]}
    assert (lines[0].get_color(), "-") not in looks, "the best one's own"


def test_many_trainings_without_a_best_one_are_named_in_one_line():
    assert legend(drawn(*(curve(f"seed={n}", (1, 0.6 + n)) for n in range(9)))) == ["the trainings", "a job ends"]


# What the colour-blind see of linear RGB (Machado, Oliveira and Fernandes 2009), and what others do.
SIGHTS = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lightness_and_tones(colour: str, sight: str) -> np.ndarray:
    """Return a colour in CIELAB."""
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SIGHTS[sight]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def looks_on_page(theme: str) -> set[tuple[str, str]]:
    """Return colour and dashes of eight curves and the star as a page shows them in a theme."""
    style = Environment(loader=PackageLoader("keepbest.reports")).get_template("page.css.j2").render()
    blue = dict(zip(("light", "dark"), re.findall(r"--blue: (#\w+)", style), strict=False))[theme]
    curves = [curve(f"seed={n}", (1, 0.6 + n, 0.5), ends=(), best=(2, 0.5) if n == 0 else None) for n in range(8)]
    svg = vector_picture(lambda axes: draw_sweep_curves(curves, "val_loss", "", axes), "curves", "")
    styles = re.findall(r'style="fill: none; (?:stroke-dasharray: ([^;]*);[^"]*?)?stroke: ([^;"]*)', svg)
    return {(colour.replace("var(--blue)", blue).lower(), dashes) for dashes, colour in styles}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colour_blind_tell_eight_curves_apart_on_a_page(theme):
    found = {look for look in looks_on_page(theme) if look[0].startswith("#") and look[0] != "#b0b0b0"}
    assert len(found) == 8
    for (one, dashes), (other, others) in combinations(sorted(found), 2):
        if dashes == others:
            for sight in SIGHTS:
                far = np.linalg.norm(lightness_and_tones(one, sight) - lightness_and_tones(other, sight))
                assert far > 12, (one, other, sight)
    assert "#d55e00" not in {colour for colour, _ in found}, "the star's"


def test_equal_trainings_are_one_line_with_all_their_names():
    axes = drawn(curve("seed=1"), curve("seed=2", ends=((1, 3),), best=(2, 0.5)), curve("seed=3", (1, 2)), curve("c"))
    assert [len(line.get_xdata()) for line in axes.get_lines() if line.get_linestyle() == "-"] == [4, 2]
    assert legend(axes)[:2] == ["seed=1 and seed=2 and 1 more (3 jobs)", "seed=3 (1 job)"]
    assert "the best job's best" in legend(axes)


def test_labels_do_not_lie_over_each_other():
    """Nine trainings that end together, and ends beside them."""
    values = np.linspace(1, 0.5, 100)
    trained = [curve(f"seed={n}", values + n / 1000, ends=[(n, 99), (n + 20, 60 + n % 3)]) for n in range(9)]
    axes = drawn(*trained, curve("a", values - 0.1, ends=((40, 10), (41, 30))))
    axes.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
    assert [text.get_text() for text in axes.texts] == ["job 40", "job 41", "job 26", "job 8"], "the highest ones"


def test_a_label_tells_the_jobs_of_one_end():
    """Ends of three curves side by side, two of one curve, and one below another."""
    one, other, third = np.linspace([0.9, 0.8, 0.7], 0.5, 100).T
    curves = [
        curve("a", one, ends=[(1, 10), (2, 10), (3, 50), (4, 51)]),
        curve("b", other, ends=[(5, 10), (6, 11), (7, 30)]),
        curve("c", third, ends=[(8, 12), (9, 30), (10, 99)]),
    ]
    axes = drawn(*curves)
    found = {text.get_text(): (*text.xy,) for text in axes.texts}
    assert found == {"jobs 1, 2": (10, one[10]), "job 3": (50, one[50]), "job 7": (30, other[30]), "job 10": (99, 0.5)}


def test_several_checks_in_an_epoch_are_counted_as_checks():
    axes = drawn(curve("a", epochs=(0, 0, 1, 1), ends=((5, 2),)), curve("b"))
    assert axes.get_xlabel() == "check"
    _, ends, *_ = axes.get_lines()
    assert list(ends.get_xdata()) == [2]


def test_a_long_descent_is_shown_in_a_logarithmic_scale_with_plain_numbers():
    assert drawn(curve("a", values=(8.0, 2.0, 1.0, 0.5))).get_yscale() == "log"
    assert drawn(curve("a", values=(8.0, 2.0, 1.0, -0.5))).get_yscale() == "linear"
    assert drawn(curve("a")).get_yscale() == "linear"
    axes = drawn(curve("a", values=(1.0, 0.2, 0.1, 0.05)))
    axes.figure.savefig("/dev/null", format="png")
    assert "0.10" in [label.get_text() for label in axes.get_yticklabels()]


def test_what_is_not_finite_leaves_a_gap():
    axes = drawn(curve("a", values=(1.0, float("inf"), float("nan"), 0.5)), curve("b", ends=((0, 7),)))
    assert np.isinf(axes.get_lines()[0].get_ydata()[1])
    axes.figure.savefig("/dev/null", format="png")


def test_of_many_ends_some_have_numbers_the_first_and_the_last_among_them():
    values = np.linspace(1, 0.5, 40)
    axes = drawn(curve("a", values=values, ends=[(n, n) for n in range(30)]))
    numbers = [int(text.get_text().removeprefix("job ")) for text in axes.texts]
    assert len(numbers) == 16
    assert (numbers[0], numbers[-1]) == (0, 29)
    assert len(axes.get_lines()[1].get_xdata()) == 30
    (text,) = drawn(curve("a", ends=[(n, 3) for n in range(30)])).texts
    assert text.get_text() == "30 jobs"


def test_in_axes_of_somebody_elses_the_title_leaves_the_neighbour_alone():
    figure = Figure(figsize=(7, 3))
    left, right = figure.subplots(1, 2)
    draw_sweep_curves(
        [curve("a")], "val_loss", "200 jobs, 8 trainings; best: job 12, val_loss 0.0618 in epoch 49", left
    )
    figure.draw_without_rendering()
    assert left._left_title.get_window_extent().x1 < right.get_window_extent().x0


@pytest.mark.parametrize("values", [(1.0,), (1.0, float("nan"), float("nan"))])
def test_one_epoch_has_the_room_of_one(values):
    axes = drawn(curve("a", values=values, ends=((0, 0),)))
    axes.figure.draw_without_rendering()
    assert axes.get_xlim() == (-0.5, 0.5)
    assert [label.get_text() for label in axes.get_xticklabels() if -0.5 < label.get_position()[0] < 0.5] == ["0"]


def test_it_draws_in_the_axes_that_are_given():
    axes = Figure().subplots(1, 2)
    assert draw_sweep_curves([curve("a")], "val_loss", "t", axes[1]) is axes[0].figure
    assert not axes[0].get_lines()
    assert axes[1].get_lines()
