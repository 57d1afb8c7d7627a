"""The best checkpoints of a run that goes on in another directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from keepbest.callbacks.rank_zero import warn
from keepbest.stopping.comparison import Mode


def follow_move(state: dict[str, Any], dirpath: str, mode: Mode, exists: Callable[[str], bool]) -> dict[str, Any]:
    """Return a ModelCheckpoint's state with each path where its file is now.

    A file is looked for below the new directory, where the old one had it, and then where it was: the run may have been
    moved or copied as a whole, or goes on elsewhere on purpose. A best checkpoint that is nowhere is dropped with a
    warning, because nothing can be compared with a file that does not exist.

    Args:
        state: what `ModelCheckpoint.state_dict` returned, with the old directory in it; it is not changed.
        dirpath: the directory of now.
        mode: which direction of the score is better.
        exists: whether there is a file of this path.
    """

    def found(path: str) -> str:
        candidates = (_moved(path, state["dirpath"], dirpath), path)
        return next((candidate for candidate in candidates if candidate and exists(candidate)), "")

    places = {path: found(path) for path in state["best_k_models"]}
    lost = [path for path, place in places.items() if not place]
    if lost:
        warn(
            f"Best checkpoints that are no longer there cannot be kept: {', '.join(lost)}. Keeping begins without them."
        )
    moved = {
        **state,
        "dirpath": dirpath,
        "best_k_models": {place: state["best_k_models"][path] for path, place in places.items() if place},
        "best_model_path": found(state["best_model_path"]),
        "kth_best_model_path": found(state["kth_best_model_path"]),
        "last_model_path": found(state["last_model_path"]),
    }
    return _ranked_anew(moved, mode) if lost else moved


def _moved(path: str, old: str | None, new: str) -> str:
    """Return the path's place below the new directory; empty when it was not below the old one."""
    inside = bool(path and old) and path.startswith(f"{str(old).rstrip('/')}/")
    return os.path.join(new, os.path.relpath(path, old)) if inside else ""  # noqa: PTH118 - it may be a URL


def _ranked_anew(state: dict[str, Any], mode: Mode) -> dict[str, Any]:
    kept = state["best_k_models"]
    best = (min if mode == "min" else max)(kept, key=kept.get, default="")
    worst = (max if mode == "min" else min)(kept, key=kept.get, default="")
    return {
        **state,
        "best_model_path": best,
        "best_model_score": kept.get(best),
        "kth_best_model_path": worst,
        "kth_value": kept.get(worst, state["kth_value"]),
    }
