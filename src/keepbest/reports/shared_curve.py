"""The picture of a shared training: the metric, and where it ended for each of its members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from keepbest.records.run_record import Objective
    from keepbest.reports.curve import CheckPoint

# Okabe and Ito's palette, told apart by the colour-blind
_METRIC, _BEST, _STOP = "#0072B2", "#009E73", "#D55E00"
_MOST_LABELS = 24
_LONGEST_LABEL = 18


class MemberEnd(NamedTuple):
    """Where the training ended for one member.

    Args:
        name: the member's, short.
        checks: how many checks it saw; the last of them is where it ended.
        best_step: the optimizer steps of its best check; None without one.
    """

    name: str
    checks: int
    best_step: int | None


def draw_shared_curve(
    path: Path, checks: Sequence[CheckPoint], objective: Objective, ends: Sequence[MemberEnd], title: str
) -> None:
    """Draw the checks of a shared training to a PNG file, with a line at each end, and a star at each best kept.

    The horizontal axis counts epochs where each epoch has one check at the most, else checks.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    by_end = _by_end(ends)
    figure = Figure(figsize=(9, 5.2), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    epochs = [check.epoch for check in checks]
    by_epoch = len(set(epochs)) == len(epochs)
    places = epochs if by_epoch else list(range(len(checks)))
    values = [check.value for check in checks]
    axes.plot(places, values, "o-", color=_METRIC, markersize=3, lw=1.4, label=objective.monitor)
    _mark_bests(axes, checks, places, ends)
    _mark_ends(axes, places, by_end)
    axes.set_xlabel("epoch" if by_epoch else "check")
    axes.set_ylabel(objective.monitor)
    axes.set_title(title, fontsize=10, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def _by_end(ends: Sequence[MemberEnd]) -> Mapping[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for end in ends:
        found[end.checks].append(end.name)
    return dict(sorted(found.items()))


def _mark_bests(axes: Any, checks: Sequence[Any], places: Sequence[int], ends: Sequence[MemberEnd]) -> None:
    steps = {end.best_step for end in ends}
    found = [(place, check.value) for place, check in zip(places, checks, strict=True) if check.step in steps]
    if found:
        x, y = zip(*found, strict=True)
        axes.plot(x, y, "*", color=_BEST, markersize=12, zorder=3, label="the best that a member keeps")


def _mark_ends(axes: Any, places: Sequence[int], by_end: Mapping[int, list[str]]) -> None:
    """Draw a line where members end, and write who they are as far as there is room."""
    label = "ends here for members"
    top = axes.get_ylim()[1]
    for count, names in by_end.items():
        if not 0 < count <= len(places):
            continue
        axes.axvline(places[count - 1], color=_STOP, lw=1, ls="--", label=label)
        label = "_nolegend_"
        if len(by_end) <= _MOST_LABELS:
            axes.text(
                places[count - 1], top, _who(names), rotation=90, va="top", ha="right", fontsize=7, color=_STOP,
            )  # fmt: skip


def _who(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= _LONGEST_LABEL else f"{len(names)} members"
