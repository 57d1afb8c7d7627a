"""The curves of a sweep: each distinct training, where it ended for whom, and the best job."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from keepbest.reports.picture import (
    SMALLEST,
    add_legend,
    axes_of,
    cut,
    finish_axes,
    room_in,
    write_names,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of Okabe and Ito's palette, told apart by the colour-blind on light and dark; the best one's colour first.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
_STYLES = tuple((colour, dashes) for dashes in ("-", (0, (5, 2))) for colour in _COLOURS)
_OTHERS, _STAR = "#b0b0b0", "#D55E00"
_MOST_NUMBERS = 16  # ends that get the numbers of their jobs
_LABEL = 1.7 * SMALLEST  # points: of ends as near as this, one has room for a label


class JobEnd(NamedTuple):
    """Where a training ended for a job: its last epoch, and how many checks it saw."""

    number: int
    epoch: int | None
    checks: int


class _End(NamedTuple):
    """Where a curve ends for jobs: the place, the value there, which curve it is, and their numbers."""

    place: int
    value: float
    curve: int
    numbers: list[int]


class _Look(NamedTuple):
    """How a curve is drawn, and its name in the legend."""

    colour: str
    dashes: Any
    label: str


class TrainingCurve(NamedTuple):
    """One training of a sweep.

    Args:
        label: what tells it from the others.
        checks: epoch and value of each check.
        ends: of its jobs.
        best: epoch and score of the sweep's best job, where that is one of its own.
    """

    label: str
    checks: Sequence[tuple[int, float]]
    ends: Sequence[JobEnd]
    best: tuple[int, float] | None


def draw_sweep_curves(curves: Sequence[TrainingCurve], monitor: str, title: str, ax: Any = None) -> Figure:
    """Draw the curves of a sweep into the axes, or into a new figure; return the figure.

    The horizontal axis counts epochs where each epoch has one check at the most, else checks. Up to eight trainings are
    told apart by colour, dashes and a legend; of more, only the best one is. Trainings with the same checks are one
    line. Ends are labelled with the numbers of their jobs as far as there is room, the first and the last before
    others; no label stands over an end of another curve.
    """
    curves = _merged(curves)
    axes = axes_of(ax, (9, 5))
    by_epoch = all(len({epoch for epoch, _ in curve.checks}) == len(curve.checks) for curve in curves)
    ordered = sorted(curves, key=lambda curve: curve.best is None)
    _draw_all(axes, ordered, by_epoch=by_epoch)
    room = room_in(axes)
    write_names(axes, "epoch" if by_epoch else "check", monitor, room)
    write_title(axes, title, room[0])
    _write_numbers(axes, curves, room[0], by_epoch=by_epoch)
    figure: Figure = axes.figure
    return figure


def _draw_all(axes: Any, ordered: Sequence[TrainingCurve], *, by_epoch: bool) -> None:
    for curve, look in zip(ordered, _looks(ordered), strict=True):
        _draw(axes, curve, look, by_epoch=by_epoch)
    for curve in ordered[:1]:
        _mark_best(axes, curve, by_epoch=by_epoch)
    finish_axes(axes, [value for curve in ordered for _, value in curve.checks])
    _legend(axes)


def _looks(ordered: Sequence[TrainingCurve]) -> Iterator[_Look]:
    """Return how each is drawn: a look of its own for up to eight, else one for the best and one for the others."""
    if len(ordered) <= len(_STYLES):
        yield from (_Look(*style, _label(curve)) for style, curve in zip(_STYLES, ordered, strict=False))
        return
    if ordered[0].best:
        yield _Look(_COLOURS[0], "-", "the best job's training")
    others = [curve for curve in ordered if not curve.best]
    name = "the trainings" if len(others) == len(ordered) else "the other trainings"
    yield from (_Look(_OTHERS, "-", "_nolegend_" if place else name) for place in range(len(others)))


def _merged(curves: Sequence[TrainingCurve]) -> list[TrainingCurve]:
    """Return one curve for those that would hide each other."""
    groups: dict[tuple[tuple[int, float], ...], list[TrainingCurve]] = defaultdict(list)
    for curve in curves:
        groups[tuple(curve.checks)].append(curve)
    return [group[0] if len(group) == 1 else _as_one(group) for group in groups.values()]


def _as_one(group: Sequence[TrainingCurve]) -> TrainingCurve:
    names = [cut(curve.label) for curve in group[:2]]
    label = " and ".join([*names, *([f"{len(group) - 2} more"] if len(group) > 2 else [])])
    best = next((curve.best for curve in group if curve.best), None)
    return TrainingCurve(label, group[0].checks, [end for curve in group for end in curve.ends], best)


def _draw(axes: Any, curve: TrainingCurve, look: _Look, *, by_epoch: bool) -> None:
    places = _places(curve, by_epoch=by_epoch)
    values = [value for _, value in curve.checks]
    width, front = (2.2, 3) if curve.best else (1.2, 2)
    alone = "o" if len(values) == 1 else ""
    axes.plot(places, values, marker=alone, ls=look.dashes, color=look.colour, lw=width, zorder=front, label=look.label)
    ends = [(place, values[places.index(place)]) for place in _by_place(curve, by_epoch=by_epoch)]
    if ends:
        x, y = zip(*ends, strict=True)
        axes.plot(
            x, y, "o", color="white", markeredgecolor=look.colour, markersize=5, zorder=front + 1, label="_nolegend_"
        )


def _label(curve: TrainingCurve) -> str:
    jobs = "1 job" if len(curve.ends) == 1 else f"{len(curve.ends)} jobs"
    return f"{cut(curve.label, 60)} ({jobs})".lstrip("_")  # matplotlib hides what begins with one


def _mark_best(axes: Any, curve: TrainingCurve, *, by_epoch: bool) -> None:
    if curve.best is None:
        return
    places = _places(curve, by_epoch=by_epoch)
    at = next((place for place, check in zip(places, curve.checks, strict=True) if check == curve.best), None)
    if at is not None:
        axes.plot(at, curve.best[1], "*", color=_STAR, markersize=14, zorder=6, label="the best job's best")


def _write_numbers(axes: Any, curves: Sequence[TrainingCurve], width: float, *, by_epoch: bool) -> None:
    """Write above ends whose they are, as far as there is room."""
    low, high = axes.get_xlim()
    ends = _apart(_ends(curves, by_epoch=by_epoch), (high - low) * _LABEL / width)
    count = min(len(ends), _MOST_NUMBERS)
    some = [round(place * (len(ends) - 1) / max(count - 1, 1)) for place in range(count)]
    look: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": SMALLEST, "zorder": 5}
    look["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    for end in (ends[place] for place in some):
        text, at = _who(end.numbers), (end.place, end.value)
        axes.annotate(text, at, xytext=(0, 9), textcoords="offset points", **look)


def _ends(curves: Sequence[TrainingCurve], *, by_epoch: bool) -> list[_End]:
    """Return the ends of all curves from left to right."""
    found: list[_End] = []
    for number, curve in enumerate(curves):
        places = _places(curve, by_epoch=by_epoch)
        values = dict(zip(places, (value for _, value in curve.checks), strict=True))
        found += [_End(at, values[at], number, who) for at, who in _by_place(curve, by_epoch=by_epoch).items()]
    return sorted(end for end in found if math.isfinite(end.value))


def _apart(ends: Sequence[_End], near: float) -> list[_End]:
    """Return those to label: none has a higher end of another curve, or one that is labelled, as near as that."""
    places = [end.place for end in ends]
    beside = [ends[bisect_left(places, at - near) : bisect_right(places, at + near)] for at in places]
    clear = [
        end for end, those in zip(ends, beside, strict=True) if not any(_is_above(one, end) for one in reversed(those))
    ]
    kept: list[_End] = []
    for end in [*clear[:1], *clear[-1:], *sorted(clear, key=lambda end: -end.value)]:
        if all(abs(end.place - other.place) > near for other in kept):
            kept.append(end)
    return sorted(kept)


def _is_above(other: _End, end: _End) -> bool:
    return other.curve != end.curve and other.value > end.value


def _who(numbers: Sequence[int]) -> str:
    noun = "job" if len(numbers) == 1 else "jobs"
    text = ", ".join(map(str, sorted(numbers)))
    return f"{noun} {text}" if len(text) <= 14 else f"{len(numbers)} jobs"


def _places(curve: TrainingCurve, *, by_epoch: bool) -> list[int]:
    return [epoch for epoch, _ in curve.checks] if by_epoch else list(range(len(curve.checks)))


def _by_place(curve: TrainingCurve, *, by_epoch: bool) -> dict[int, list[int]]:
    """Return which jobs ended where, for the places that the curve has."""
    there = set(_places(curve, by_epoch=by_epoch))
    found: dict[int, list[int]] = defaultdict(list)
    for end in curve.ends:
        place = end.epoch if by_epoch else end.checks - 1
        if place in there:
            found[place].append(end.number)
    return dict(sorted(found.items()))


def _legend(axes: Any) -> None:
    axes.plot([], [], "o", color="white", markeredgecolor=_OTHERS, markersize=5, label="a job ends")
    add_legend(axes)
