"""What the terminal shows of a replay: the policies worth a look, and the one to take."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from keepbest.errors import printable
from keepbest.reading.recommendation import Recommendation
from keepbest.reading.recorded_stopping import SWITCHED_ON
from keepbest.reading.replay import Replay
from keepbest.reports.console import standard_console
from keepbest.reports.fitted_table import Column, one_line, shortened, show_left_out, show_table
from keepbest.stopping.outcomes import last_kept

MOST_ROWS = 20
_LEFT_OUT_SHOWN, _MOST_DIFFERING, _LONGEST_KEY = 3, 5, 60
_LONGEST_LEFT_OUT, _LONGEST_NAME = 160, 24  # characters
# which columns stay in a narrow terminal
_RANKS = {
    "patience": 0, "epochs": 0, "regret": 0, "min_delta": 1, "baseline": 2, "start_from_epoch": 2, "worst regret": 2,
    "saved": 4, "best at": 5,
}  # fmt: skip
_METRIC_RANK = 3


def show_replay(replay: Replay, max_regret: float, console: Console | None = None) -> None:
    """Print a table, the Pareto front first, then the policies of the least regret; and a recommendation.

    Args:
        replay: what to show.
        max_regret: the mean regret that is allowed.
        console: where to; None: standard output.
    """
    output = console or standard_console()
    shown = _chosen(replay)
    output.print(Text(printable(_headline(replay))), soft_wrap=True)
    hidden = []
    if shown.size:
        front = set(replay.front.tolist())
        styles = ["" if int(number) in front else "dim" for number in shown]
        hidden = show_table(_columns(replay, shown), output, styles=styles)
    known = int((~np.isnan(replay.mean_regret)).sum())
    if known > shown.size:
        output.print(f"... and {known - shown.size} more", style="dim")
    show_left_out(hidden, output, "--csv has all")
    for name, text in _summary(replay, max_regret):
        output.print(Text.assemble((f"{name:<12} ", "dim"), printable(text)), soft_wrap=True)


def differing_of(replay: Replay) -> str:
    """Return in which overrides the histories differ, and what that means for the means over them."""
    shown = ", ".join(key[:_LONGEST_KEY] for key in replay.differing[:_MOST_DIFFERING])
    more = len(replay.differing) - _MOST_DIFFERING
    keys = f"{shown} and {more} more" if more > 0 else shown
    return f"the histories differ in more than the seed: {keys}; means over them are of different experiments"


def kept_of(replay: Replay) -> str:
    """Return the settings that all policies have because the histories were trained with them; "" for none."""
    return " ".join(f"{name}={value}" for name, value in replay.kept.items())


def why_none(replay: Replay, max_regret: float) -> str:
    """Return why no policy is recommended, without a full stop.

    Args:
        replay: which recommends none.
        max_regret: the mean regret that is allowed.
    """
    if replay.is_limited:
        return "all policies end alike: the training's own limit came first"
    histories, monitor = len(replay.outcomes), replay.objective.monitor
    if scoreless := sum(last_kept(one.best_so_far) is None for one in replay.outcomes):
        has = "the history has" if histories == 1 else f"{scoreless} of {histories} histories have"
        return f"{has} no finite best {monitor}, and so no policy a regret"
    if np.isnan(replay.mean_regret).all():
        return "no policy's stop is known"
    least = np.nanmin(replay.mean_regret)
    if np.isinf(least):
        return "every policy whose stop is known ends before there is a score to keep"
    return f"no policy has a mean regret of at most {max_regret:g}; the least is {least:.6g}"


def how_to_train(best: Recommendation) -> list[str]:
    """Return what is to be done with the overrides of a recommendation."""
    lines = ["to be added to what the histories were trained with"]
    if SWITCHED_ON in best.overrides:
        lines[0] += ", in place of what turned early stopping off there"
    if any(override.startswith("objective.") for override in best.overrides):
        lines.append("another objective changes the training where more than its end follows it, such as a scheduler")
    return lines


def _chosen(replay: Replay) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return the places of the policies that have room: the front, its least regret first, and what is next best."""
    regret, epochs = replay.mean_regret.ravel(), replay.mean_epochs.ravel()
    front = replay.front[::-1][:MOST_ROWS]
    others = np.setdiff1d(np.flatnonzero(~np.isnan(regret)), front)
    nearest = others[np.lexsort((epochs[others], regret[others]))]
    return np.concatenate([front, nearest])[:MOST_ROWS]


def _headline(replay: Replay) -> str:
    histories = len(replay.outcomes)
    noun = "distinct histories" if replay.repeated else "histories"
    of = replay.outcomes[0].trajectory.name if histories == 1 else f"{histories} {noun}"
    checks = ", ".join(dict.fromkeys(str(one.trajectory.values.size) for one in replay.outcomes[:5]))
    more = ", ..." if histories > 5 else ""
    best = replay.objective
    policies = "1 policy" if replay.grid.size == 1 else f"{replay.grid.size} policies"
    return f"{policies} on {best.monitor} ({best.mode}) of {of}, {checks}{more} checks"


def _columns(replay: Replay, numbers: np.ndarray[Any, np.dtype[np.intp]]) -> list[Column]:
    """Return the columns: the settings first; patience, epochs and regret stay where there is little room."""
    settings = replay.grid.columns(numbers)
    axes = [name for name, size in zip(settings, replay.grid.shape, strict=True) if size > 1 or name == "patience"]
    front = set(replay.front.tolist())
    columns = [Column("", ["*" if int(number) in front else "" for number in numbers])]
    for name in axes:
        cells = [_text(value) or "none" for value in settings[name]]
        columns.append(Column(name, cells, rank=_RANKS[name], right=True))
    for name, fact in _facts(replay).items():
        cells = [_text(fact.flat[number]) for number in numbers]
        head = shortened(one_line(name), _LONGEST_NAME)
        columns.append(Column(head, cells, rank=_RANKS.get(name, _METRIC_RANK), right=True))
    return columns


def _facts(replay: Replay) -> dict[str, Any]:
    mean = {"epochs": replay.mean_epochs, "saved": replay.total_epochs - replay.mean_epochs}
    if len(replay.outcomes) > 1:
        return {**mean, "regret": replay.mean_regret, "worst regret": replay.worst_regret}
    one = replay.outcomes[0]
    return {**mean, "best at": one.best_epoch, replay.objective.monitor: one.score, "regret": replay.mean_regret}


def _summary(replay: Replay, max_regret: float) -> list[tuple[str, str]]:
    rows = [("*", "no other policy has both fewer epochs and less regret")] if replay.front.size else []
    if replay.kept:
        rows.append(("all of them", f"{kept_of(replay)}, as the histories were trained"))
    if censored := int((replay.censored > 0).sum()):
        where = "a history" if len(replay.outcomes) > 1 else "the history"
        rows.append(("censored", f"{censored} of {replay.grid.size} policies: {where} ended before they would have"))
    for line in replay.left_out[:_LEFT_OUT_SHOWN]:
        rows.append(("left out", line[:_LONGEST_LEFT_OUT]))
    if len(replay.left_out) > _LEFT_OUT_SHOWN:
        rows.append(("left out", f"and {len(replay.left_out) - _LEFT_OUT_SHOWN} more"))
    if replay.differing:
        rows.append(("differing", differing_of(replay)))
    best = replay.recommend(max_regret)
    if best is None:
        return [*rows, ("recommended", f"none: {why_none(replay, max_regret)}")]
    cost = f"{best.epochs:.6g} of {replay.total_epochs:.6g} epochs, regret {best.regret:.6g}"
    if len(replay.outcomes) > 1:
        cost += f" on average, {best.worst_regret:.6g} at worst"
    how = [("", line) for line in how_to_train(best)]
    return [*rows, ("recommended", " ".join(best.overrides)), *how, ("", cost)]


def _text(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"
