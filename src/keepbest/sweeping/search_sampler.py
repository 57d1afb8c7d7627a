"""The sampler of a search, which chooses the values of its trials."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keepbest.composition.build import build_sampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from keepbest.sweeping.search_space import SearchSpace

_GRID = "GridSampler"
_ONE_SEQUENCE = (_GRID, "QMCSampler")  # a trial's place in it is its number, and the seed is that of the whole


class SearchSampler:
    """Makes the sampler anew for each round of trials.

    Args:
        node: its `_target_` and its arguments.
        space: what is searched.

    Raises:
        ConfigError: for a sampler that cannot be made, or cannot search the space.
    """

    def __init__(self, node: Mapping[str, Any], space: SearchSpace) -> None:
        self._node = dict(node)
        self.most_trials: int | None = None
        if self._is(_GRID):
            self._node["search_space"] = space.grid()
            self.most_trials = math.prod(map(len, self._node["search_space"].values()))
        self.after(0)

    def after(self, trials: int) -> BaseSampler:
        """Return the sampler for the trials that come after some.

        A seed is that of the first ones. Each round draws anew, by how many trials there are, so that a search that was
        killed goes on as if it had not been.
        """
        from optuna.exceptions import ExperimentalWarning

        node = dict(self._node)
        if node.get("seed") is not None and not any(map(self._is, _ONE_SEQUENCE)):
            node["seed"] += trials
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # who chose the sampler has read its page
            return build_sampler(node)

    def _is(self, name: str) -> bool:
        return str(self._node.get("_target_")).endswith(f".{name}")
