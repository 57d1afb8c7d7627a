"""The picture of one training: the metric, the best check, the stop and the patience window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from keepbest.stopping.reasons import in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keepbest.records.run_record import Objective, RunRecord

CURVE_FILE = "curve.png"

# Okabe and Ito's palette, told apart by the colour-blind
_METRIC, _BEST, _STOP, _WINDOW = "#0072B2", "#009E73", "#D55E00", "#E69F00"
_SIZE = (7.5, 4.2)
_MOST_MARKERS = 200
_UNFORTUNATE = ("interrupted", "failed", "diverged")


class CheckPoint(Protocol):
    """A check, as the history holds it."""

    @property
    def epoch(self) -> int:
        """The epoch, from 0."""

    @property
    def value(self) -> float:
        """The monitored metric."""


def draw_curve(path: Path, checks: Sequence[CheckPoint], objective: Objective, record: RunRecord) -> None:
    """Draw the checks of a run to a PNG file; see `plot_curve`."""
    plot_curve(checks, objective.monitor, record).savefig(path, dpi=130)


def plot_curve(checks: Sequence[CheckPoint], metric: str, record: RunRecord, ax: Any = None) -> Figure:
    """Draw the checks of a run into the axes, or into a new figure; return the figure.

    The horizontal axis counts epochs where each epoch has one check at the most, else checks. The patience window
    reaches from the check that the policy last accepted to the one at which it gave up. What the record does not say,
    as of a run that goes on, is not drawn. Of another metric than the objective's only the values are. Where no value
    is finite, the axes say so.

    Args:
        checks: in their order.
        metric: which one they are of.
        record: how the run ended, as far as it has.
        ax: the matplotlib axes to draw in; None makes a new figure.
    """
    from keepbest.reports.picture import axes_of, cut, room_in, say_instead, write_names, write_title

    axes = axes_of(ax, _SIZE)
    by_epoch = is_by_epoch(checks)
    if any(math.isfinite(check.value) for check in checks):
        _draw(axes, checks, metric, record, by_epoch=by_epoch)
    else:
        say_instead(axes, nothing_finite(metric))
    room = room_in(axes)
    write_names(axes, "epoch" if by_epoch else "check", metric, room)
    write_title(axes, cut(_title(record), 90), room[0])
    figure: Figure = axes.figure
    return figure


def nothing_finite(metric: str) -> str:
    """Return why there is no curve where no value is finite, without a full stop."""
    return f"no check has a finite {metric}"


def _draw(axes: Any, checks: Sequence[CheckPoint], metric: str, record: RunRecord, *, by_epoch: bool) -> None:
    from keepbest.reports.picture import add_legend, finish_axes

    places = [check.epoch for check in checks] if by_epoch else list(range(len(checks)))
    values = [check.value for check in checks]
    shape = "o-" if len(checks) <= _MOST_MARKERS else "-"
    axes.plot(places, values, shape, color=_METRIC, markersize=3, lw=1.4, label=_shown(metric))
    if metric == record.objective.monitor:
        _mark_best(axes, checks, places, record)
        _mark_stop(axes, checks, places, record)
    finish_axes(axes, values)
    add_legend(axes, "upper right" if record.objective.mode == "min" else "lower right")


def is_by_epoch(checks: Sequence[CheckPoint]) -> bool:
    """Return whether each epoch has one check at the most, so that epochs can be counted instead of checks."""
    return len({check.epoch for check in checks}) == len(checks)


def best_place(checks: Sequence[CheckPoint], record: RunRecord) -> int | None:
    """Return the number of the best check among those of the objective, from 0; None where it is not there."""
    same = [i for i, check in enumerate(checks) if check.value == record.best_model_score]
    return next((i for i in same if checks[i].epoch == record.best_epoch), same[0] if same else None)


def _shown(label: str) -> str:
    """Return a label that matplotlib shows: it hides what begins with an underscore."""
    return f" {label}" if label.startswith("_") else label


def _mark_best(axes: Any, checks: Sequence[CheckPoint], places: list[int], record: RunRecord) -> None:
    at = best_place(checks, record)
    if at is not None:
        label = f"best: {checks[at].value:.4g} in epoch {checks[at].epoch}"
        axes.plot(places[at], checks[at].value, "*", color=_BEST, markersize=13, zorder=3, label=label)


def _mark_stop(axes: Any, checks: Sequence[CheckPoint], places: list[int], record: RunRecord) -> None:
    stopping = record.stopping
    if stopping is None or stopping.stopped_epoch is None:
        return
    axes.axvline(places[-1], color=_STOP, lw=1.4, ls="--", label=f"stopped in epoch {stopping.stopped_epoch}")
    best = record.policy_best
    if stopping.reason == "patience_exhausted" and best is not None:
        start = next((i for i, check in enumerate(checks) if (check.epoch, check.value) == (best.epoch, best.score)), 0)
        label = f"patience: {(stopping.policy or {}).get('patience')} checks without improvement"
        axes.axvspan(places[start], places[-1], color=_WINDOW, alpha=0.18, lw=0, label=label)


def _title(record: RunRecord) -> str:
    status, stopping, verified = record.status.value, record.stopping, record.verified
    if stopping is None:
        return f"{record.id}: {status}"
    proof = "" if verified is None else ", verified bit for bit" if verified.exact else ", verified"
    reason = in_words(stopping.reason) if stopping.reason else "ended"
    return f"{record.id}: {reason}{proof}{f', {status}' if status in _UNFORTUNATE else ''}"
