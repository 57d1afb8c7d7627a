"""The picture of a replay: mean regret against mean epochs, with the policies that no other beats in both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keepbest.errors import printable
from keepbest.reports.picture import LITERAL, add_legend, axes_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keepbest.reading.recommendation import Recommendation
    from keepbest.reading.replay import Replay

# Okabe and Ito's palette, told apart by the colour-blind
_OTHERS, _FRONT, _RECOMMENDED = "#999999", "#0072B2", "#D55E00"
_MOST_LABELS = 8


def draw_front(replay: Replay, recommended: Recommendation | None, path: Path | None = None, ax: Any = None) -> Figure:
    """Draw the policies into the axes, or into a new figure; return the figure.

    Those that are censored in a history, or keep nothing, have no place in it.

    Args:
        replay: the policies and what they came to.
        recommended: marked with a star.
        path: a file to write; None for none.
        ax: the matplotlib axes to draw in; None makes a new figure.
    """
    axes = axes_of(ax, (7.5, 4.6))
    epochs, regret = replay.mean_epochs.ravel(), replay.mean_regret.ravel()
    shown = np.isfinite(epochs) & np.isfinite(regret)
    points = np.unique(np.stack([epochs[shown], regret[shown]]), axis=1)
    axes.plot(*points, "o", color=_OTHERS, alpha=0.45, markersize=3.5, lw=0, label="policies")
    _draw_line(axes, replay)
    if recommended:
        text = ", ".join(override.rpartition(".early_stopping.")[2] for override in recommended.overrides)
        place = (recommended.epochs, recommended.regret)
        axes.plot(*place, "*", color=_RECOMMENDED, markersize=14, zorder=4, lw=0, label=f"recommended: {text}")
    left_out = int((~shown).sum())
    _finish(axes, replay, left_out)
    figure: Figure = axes.figure
    if path is not None:
        figure.savefig(path)
    return figure


def _draw_line(axes: Any, replay: Replay) -> None:
    front = replay.front[np.isfinite(replay.mean_regret.ravel()[replay.front])]
    if not front.size:
        return
    epochs, regret = replay.mean_epochs.ravel()[front], replay.mean_regret.ravel()[front]
    label = "Pareto front, the numbers are patience"
    axes.plot(epochs, regret, "o-", color=_FRONT, markersize=5, lw=1.2, drawstyle="steps-post", label=label)
    patience = replay.grid.columns(front)["patience"]
    some = np.unique(np.linspace(0, front.size - 1, min(front.size, _MOST_LABELS)).round().astype(int))
    for i in some:
        axes.annotate(
            str(patience[i]),
            (epochs[i], regret[i]),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=8,
            color=_FRONT,
        )


def _finish(axes: Any, replay: Replay, left_out: int) -> None:
    histories = len(replay.outcomes)
    noun = "distinct histories" if replay.repeated else "histories"
    several = f"mean of {histories} {noun}" if histories > 1 else printable(replay.outcomes[0].trajectory.name)
    axes.set_xlabel(f"epochs trained, of {replay.total_epochs:.4g}")
    axes.set_ylabel(f"regret: {printable(replay.objective.monitor)} lost to stopping early", **LITERAL)
    hidden = f"\n{left_out} of {replay.grid.size} policies not shown: the history ended first, or nothing was kept"
    axes.set_title(f"{several}{hidden if left_out else ''}", fontsize=9, loc="left", **LITERAL)
    axes.grid(alpha=0.25)
    axes.margins(x=0.05, y=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    add_legend(axes)
