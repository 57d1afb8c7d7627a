"""Where the best checkpoints of a resumed training are now."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from keepbest.callbacks.rank_zero import warn
from keepbest.stopping.comparison import Mode

_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")


def locate_checkpoints(
    state: dict[str, Any], resumed_from: str | None, mode: Mode, exists: Callable[[str], bool]
) -> dict[str, Any]:
    """Return a ModelCheckpoint's state with each path where its file is now, and with the directory that they are in.

    A run may have been moved or copied as a whole. Then the checkpoint that is resumed, one of the callback's own, no
    longer lies in the directory that its state names, and the others are looked for beside it; a file that merely has
    the same name elsewhere is another run's. Otherwise they are where they were. A best checkpoint that is nowhere is
    dropped with a warning, because nothing can be compared with a file that does not exist.

    Args:
        state: what `ModelCheckpoint.state_dict` returned; it is not changed.
        resumed_from: the path of the checkpoint that holds it, None when it was loaded by hand.
        mode: which direction of the score is better.
        exists: whether there is a file of this path.
    """
    moved_to = _moved_to(state, resumed_from)

    def found(path: str) -> str:
        candidates = (_below(path, state.get("dirpath"), moved_to), path)
        return next((candidate for candidate in candidates if candidate and exists(candidate)), "")

    best = state.get("best_k_models", {})
    places = {path: found(path) for path in best}
    lost = [path for path, place in places.items() if not place]
    located = {
        **state,
        "dirpath": moved_to or state.get("dirpath"),
        **{name: found(state[name]) for name in _PATHS if name in state},
        "best_k_models": {place: best[path] for path, place in places.items() if place},
    }
    if not lost:
        return located
    warn(f"Best checkpoints that are no longer there cannot be kept: {', '.join(lost)}. Keeping begins without them.")
    return _ranked_anew(located, mode)


def _moved_to(state: dict[str, Any], resumed_from: str | None) -> str | None:
    """Return the directory that a moved run's checkpoints are in now; None where they have not moved."""
    if resumed_from is None:
        return None
    written = [*state.get("best_k_models", {}), state.get("last_model_path", ""), state.get("best_model_path", "")]
    directory, name = os.path.split(resumed_from)  # it may be a URL
    is_own = name in {os.path.basename(path) for path in written}  # noqa: PTH119
    return directory if is_own and directory != state.get("dirpath") else None


def _below(path: str, old: str | None, new: str | None) -> str:
    """Return a path's place below the new directory; empty when it was not below the old one or there is no new one."""
    inside = bool(path and old and new) and path.startswith(f"{str(old).rstrip('/')}/")
    return os.path.join(str(new), os.path.relpath(path, old)) if inside else ""  # noqa: PTH118


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
