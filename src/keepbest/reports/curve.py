"""The picture of one training: the metric, the best check, the stop and the patience window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from keepbest.records.run_record import Objective, RunRecord

CURVE_FILE = "curve.png"

# Okabe and Ito's palette, told apart by the colour-blind
_METRIC, _BEST, _STOP, _WINDOW = "#0072B2", "#009E73", "#D55E00", "#E69F00"


class CheckPoint(Protocol):
    """A check, as the history holds it."""

    @property
    def epoch(self) -> int:
        """The epoch, from 0."""

    @property
    def value(self) -> float:
        """The monitored metric."""


def draw_curve(path: Path, checks: Sequence[CheckPoint], objective: Objective, record: RunRecord) -> None:
    """Draw the checks of a run to a PNG file.

    The horizontal axis counts epochs where each epoch has one check at the most, else checks. The patience window
    reaches from the check that the policy last accepted to the one at which it gave up.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.5, 4.2), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    epochs = [check.epoch for check in checks]
    by_epoch = len(set(epochs)) == len(epochs)
    places = epochs if by_epoch else list(range(len(checks)))
    axes.plot(
        places, [check.value for check in checks], "o-", color=_METRIC, markersize=3, lw=1.4, label=objective.monitor
    )
    if checks:
        _mark_best(axes, checks, places, record)
        _mark_stop(axes, checks, places, record)
    axes.set_xlabel("epoch" if by_epoch else "check")
    axes.set_ylabel(objective.monitor)
    axes.set_title(_title(record), fontsize=10, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def _mark_best(axes: Any, checks: Sequence[CheckPoint], places: list[int], record: RunRecord) -> None:
    at = next((i for i, check in enumerate(checks) if check.value == record.best_model_score), None)
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
    verified = record.verified
    proof = "" if verified is None else ", verified bit for bit" if verified.exact else ", verified"
    reason = record.stopping.reason.replace("_", " ") if record.stopping and record.stopping.reason else "ended"
    return f"{record.id}: {reason}{proof}"
