"""The picture of a replay: mean regret against mean epochs, with the policies that no other beats in both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keepbest.errors import printable
from keepbest.reports.picture import (
    add_legend,
    axes_of,
    count_whole,
    finish_look,
    room_in,
    say_instead,
    write_names,
    write_title,
)
from keepbest.reports.replay_table import why_none

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keepbest.reading.recommendation import Recommendation
    from keepbest.reading.replay import Replay

# Okabe and Ito's palette, told apart by the colour-blind
_OTHERS, _FRONT, _RECOMMENDED = "#999999", "#0072B2", "#D55E00"
_MOST_LABELS = 8
_LABEL = (14, 10)  # points: the room of a number


def draw_front(
    replay: Replay,
    recommended: Recommendation | None,
    path: Path | None = None,
    ax: Any = None,
    *,
    max_regret: float = 0.0,
) -> Figure:
    """Draw the policies into the axes, or into a new figure; return the figure.

    Those that are censored in a history, or keep nothing, have no place in it. The title says why none is recommended.

    Args:
        replay: the policies and what they came to.
        recommended: marked with a star; None where no policy is.
        path: a file to write; None for none.
        ax: the matplotlib axes to draw in; None makes a new figure.
        max_regret: the mean regret that is allowed.
    """
    axes = axes_of(ax, (7.5, 4.6))
    epochs, regret = replay.mean_epochs.ravel(), replay.mean_regret.ravel()
    shown = np.isfinite(epochs) & np.isfinite(regret)
    if shown.any():
        _draw(axes, replay, recommended, np.unique(np.stack([epochs[shown], regret[shown]]), axis=1))
    else:
        say_instead(axes, "no policy has both")
    monitor = printable(replay.objective.monitor)
    lost = f"regret: {monitor} lost to stopping early"
    room = room_in(axes)
    write_names(axes, f"epochs trained, of {replay.total_epochs:.4g}", lost, room)
    why = "" if recommended else why_none(replay, max_regret)
    write_title(axes, _title(replay, int((~shown).sum()), why), room[0])
    figure: Figure = axes.figure
    if path is not None:
        figure.savefig(path)
    return figure


def _draw(axes: Any, replay: Replay, recommended: Recommendation | None, points: Any) -> None:
    axes.plot(*points, "o", color=_OTHERS, alpha=0.45, markersize=3.5, lw=0, label="policies")
    front = replay.front[np.isfinite(replay.mean_regret.ravel()[replay.front])]
    line = replay.mean_epochs.ravel()[front], replay.mean_regret.ravel()[front]
    label = "Pareto front, the numbers are patience"
    axes.plot(*line, "o-", color=_FRONT, markersize=5, lw=1.2, drawstyle="steps-post", label=label)
    if recommended:
        settings = (override.partition("callbacks.early_stopping.")[2] for override in recommended.overrides)
        text = ", ".join(filter(None, settings))
        place = (recommended.epochs, recommended.regret)
        axes.plot(*place, "*", color=_RECOMMENDED, markersize=14, zorder=4, lw=0, label=f"recommended: {text}")
    axes.margins(x=0.05, y=0.08)
    count_whole(axes)
    if not points[1].any():
        axes.set(ylim=(-0.08, 1), yticks=[0])  # above no regret there is no scale
    finish_look(axes)
    add_legend(axes)
    _write_patience(axes, np.stack(line, axis=1), replay.grid.columns(front)["patience"])


def _write_patience(axes: Any, front: Any, patience: Any) -> None:
    """Write the patience at points of the front, as far as there is room."""
    room_in(axes)
    places = axes.transData.transform(front) * 72 / axes.figure.dpi
    some = np.unique(np.linspace(0, len(front) - 1, min(len(front), _MOST_LABELS)).round().astype(int))
    taken: list[Any] = []
    for i in some:
        if all((abs(places[i] - other) > _LABEL).any() for other in taken):
            taken.append(places[i])
            axes.annotate(
                str(patience[i]), front[i], xytext=(5, 5), textcoords="offset points", fontsize=8, color=_FRONT
            )


def _title(replay: Replay, left_out: int, why: str) -> str:
    histories = len(replay.outcomes)
    noun = "distinct histories" if replay.repeated else "histories"
    several = f"mean of {histories} {noun}" if histories > 1 else printable(replay.outcomes[0].trajectory.name)
    hidden = f"{left_out} of {replay.grid.size} policies not shown: the history ended first, or nothing was kept"
    return "\n".join([several, *([hidden] if left_out else []), *([f"none is recommended: {why}"] if why else [])])
