"""Replay: what other stopping policies would have done on recorded histories."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keepbest.errors import ConfigError
from keepbest.reading.histories import Histories, histories_of
from keepbest.reading.history import Wanted
from keepbest.reading.recommendation import Recommendation
from keepbest.reading.recorded_stopping import Recorded
from keepbest.stopping.comparison import Mode
from keepbest.stopping.outcomes import Numbers, Outcomes
from keepbest.stopping.policy import StoppingPolicy
from keepbest.stopping.policy_grid import PolicyGrid, policy_grid
from keepbest.stopping.replay import replay_policies

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


PATIENCE = range(1, 51)
"""The patiences that are tried where none are named."""
_MOST_OUTCOMES = 100_000_000  # policies times histories: 9 bytes each, and a table's row for those that are looked at


def replay(
    history: Any,
    *,
    patience: ArrayLike | Iterable[int] = PATIENCE,
    min_delta: ArrayLike | Iterable[float] = 0.0,
    baseline: float | Iterable[float | None] | Recorded | None = "recorded",
    start_from_epoch: int | Iterable[int] | Recorded = "recorded",
    mode: Mode | None = None,
    monitor: str | None = None,
    stopping_threshold: float | Recorded | None = "recorded",
    divergence_threshold: float | Recorded | None = "recorded",
    check_finite: bool | Recorded = "recorded",
    min_epochs: int | None = None,
) -> Replay:
    """Return what every combination of policy settings would have done on recorded histories.

    Each result is the one that `StoppingPolicy` gives check by check. Nothing is trained, and nothing of a run is
    executed. Settings that are "recorded" are those of the run's early stopping; where there is no record of them, as
    for a table, or where the histories differ in them, they are the defaults of `StoppingPolicy`.

    Args:
        history: a `Run`; the path of a run, of a sweep (each distinct training of it that has a finite best is one
            history) or of a CSV file with a column of the metric; a DataFrame; a series of numbers; or a list of these,
            such as one per seed.
        patience: in checks, a number or several; 1 to 50 unless they are named.
        min_delta: in the metric's units, a number or several.
        baseline: None for none, a number, or several.
        start_from_epoch: in epochs from 0, a number or several.
        mode: "min" or "max"; needed where the history has no record of its objective.
        monitor: the metric; needed where a table has several, and no record of its objective.
        stopping_threshold: see `StoppingPolicy`, as the next two.
        divergence_threshold: in the metric's units.
        check_finite: whether a value that is not finite stops.
        min_epochs: before any stop; None for those of a run's trainer, 0 without one.

    Raises:
        ConfigError: for settings that cannot work, what is no history, and more policies than memory has room for.
        KeepbestError: when a run cannot be opened.
    """
    histories = histories_of(history, Wanted(monitor, mode, _checked(min_epochs)))
    given = {
        "baseline": baseline,
        "start_from_epoch": start_from_epoch,
        "stopping_threshold": stopping_threshold,
        "divergence_threshold": divergence_threshold,
        "check_finite": check_finite,
    }
    settings = histories.stopping.filled(given)
    axes = settings.pop("baseline"), settings.pop("start_from_epoch")
    common = StoppingPolicy(mode=histories.objective.mode, **settings)
    grid = policy_grid(common, patience, min_delta, *axes)
    if grid.size * len(histories.trajectories) > _MOST_OUTCOMES:
        received = f"{grid.size:,} policies on {len(histories.trajectories):,}"
        raise ConfigError(
            f"policies times histories must be at most {_MOST_OUTCOMES:,}", received=received, remedy="Name fewer"
        )
    return Replay(histories, grid, histories.stopping.noteworthy(given))


class Replay:
    """What a grid of policies came to on one history or several. Arrays have the grid's shape, see `Outcomes`.

    Regret is how much worse the score at a policy's stop is than the best of the full history, in the metric's units.

    Attributes:
        objective: the metric and its direction.
        grid: the policies.
        outcomes: what they came to, per history.
        left_out: trainings of a sweep that have no history, or no finite best, in words.
        repeated: how many trainings of a sweep are left out because they repeat another one.
        differing: the overrides in which the histories of a sweep differ, apart from the seed and the policy: where
            there are some, means are over different experiments.
        kept: the settings of all policies that are not the defaults, because the histories were trained with them.
    """

    def __init__(self, histories: Histories, grid: PolicyGrid, kept: dict[str, Any]) -> None:
        self.objective, self.grid, self.kept, notes = histories.objective, grid, kept, histories.notes
        self._stopping = histories.stopping
        self.left_out, self.repeated, self.differing = notes.left_out, notes.repeated, notes.differing
        self.outcomes: list[Outcomes] = [replay_policies(one, grid) for one in histories.trajectories]

    def __repr__(self) -> str:
        return f"<Replay of {self.grid.size} policies on {len(self.outcomes)} histories of {self.objective.monitor}>"

    @functools.cached_property
    def censored(self) -> NDArray[np.intp]:
        """In how many histories each policy is censored."""
        return np.asarray(np.sum([one.censored for one in self.outcomes], axis=0))

    @functools.cached_property
    def mean_epochs(self) -> Numbers:
        """The epochs of each policy, NaN where any history ended before it."""
        return self._over(np.mean, lambda one: one.epochs)

    @functools.cached_property
    def mean_regret(self) -> Numbers:
        """The regret of each policy, NaN where any history ended before it."""
        return self._over(np.mean, lambda one: one.regret)

    @functools.cached_property
    def worst_regret(self) -> Numbers:
        """The largest regret of each policy, NaN where any history ended before it."""
        return self._over(np.max, lambda one: one.regret)

    @property
    def total_epochs(self) -> float:
        """How many epochs the full histories have, on average."""
        return float(np.mean([one.trajectory.total_epochs for one in self.outcomes]))

    @functools.cached_property
    def is_limited(self) -> bool:
        """Whether no policy ends any history before the training's own limit did: there is nothing to choose."""
        return all(
            one.trajectory.limit is not None and (one.last_check == one.trajectory.values.size - 1).all()
            for one in self.outcomes
        )

    def table(self, history: int | None = None) -> pd.DataFrame:
        """Return a row per policy. What is not known is NA: a censored policy's epochs, a stop that did not happen.

        `epochs_at_least` is known for censored policies, too. Of several histories there are means and worst cases.

        Args:
            history: the number of one of several, to see what the policies came to on this one.
        """
        return self._rows(None, history)

    def recommend(self, max_regret: float = 0.0) -> Recommendation | None:
        """Return the policy with the fewest epochs among those of a mean regret up to a limit; None without one.

        Policies that are censored in any history are not recommended, and none is where `is_limited`. Of equal ones it
        is that with the least regret, the least patience, and the smallest min_delta.

        Args:
            max_regret: in the metric's units.

        Raises:
            ConfigError: for what is no number from 0 on.
        """
        if isinstance(max_regret, bool) or not isinstance(max_regret, (int, float, np.number)) or not max_regret >= 0:
            raise ConfigError("max_regret must be a number, at least 0", received=max_regret)
        good = self._ranked[self.mean_regret.ravel()[self._ranked] <= max_regret]
        if self.is_limited or not good.size:
            return None
        best = int(good[0])
        facts = (self.mean_epochs, self.mean_regret, self.worst_regret)
        policy = self.grid.policy(best)
        overrides = self._stopping.overrides_for(policy)
        return Recommendation(policy, overrides, *(float(fact.ravel()[best]) for fact in facts))

    def pareto(self) -> pd.DataFrame:
        """Return the policies that no other beats in both mean epochs and mean regret, the fewest epochs first.

        Of several that come to the same there is one, that of `recommend`; `alike` says how many they are.
        """
        rows = self._rows(self.front)
        epochs, regret = self.mean_epochs.ravel(), self.mean_regret.ravel()
        rows["alike"] = [int(((epochs == epochs[i]) & (regret == regret[i])).sum()) for i in self.front]
        return rows

    def plot(self, path: str | Path | None = None, *, max_regret: float = 0.0, ax: Any = None) -> Figure:
        """Draw mean regret against mean epochs, with the Pareto front and the recommendation.

        Args:
            path: a file to write; None for none.
            max_regret: see `recommend`.
            ax: the matplotlib axes to draw in; None makes a new figure.
        """
        from keepbest.reports.replay import draw_front

        file = None if path is None else Path(path)
        return draw_front(self, self.recommend(max_regret), file, ax, max_regret=max_regret)

    @functools.cached_property
    def front(self) -> NDArray[np.intp]:
        """The places in the flattened grid of the policies of `pareto`."""
        regret = self.mean_regret.ravel()[self._ranked]
        before = np.minimum.accumulate(np.concatenate([[np.inf], regret]))[:-1]
        return self._ranked[regret < before]

    @functools.cached_property
    def _ranked(self) -> NDArray[np.intp]:
        """The places of the policies about which all is known, the fewest epochs first."""
        regret = self.mean_regret.ravel()
        known = np.flatnonzero(~np.isnan(regret))
        patience, min_delta, _, start = np.unravel_index(known, self.grid.shape)
        keys = (
            start,
            self.grid.min_delta[min_delta],
            self.grid.patience[patience],
            self.worst_regret.ravel()[known],
            regret[known],
            self.mean_epochs.ravel()[known],
        )
        return known[np.lexsort(keys)]

    def _rows(self, numbers: NDArray[np.intp] | None, history: int | None = None) -> pd.DataFrame:
        """Return the rows of some policies, by their places in the flattened grid; None for all of them."""
        import pandas as pd

        alone = self.outcomes[0 if history is None else history]
        facts = self._means() if history is None and len(self.outcomes) > 1 else _details(alone)
        chosen = slice(None) if numbers is None else numbers
        rows = self.grid.columns(numbers) | {name: fact.ravel()[chosen] for name, fact in facts.items()}
        return pd.DataFrame({name: _nullable(name, values) for name, values in rows.items()})

    def _means(self) -> dict[str, NDArray[Any]]:
        return {
            "censored": self.censored,
            "epochs": self.mean_epochs,
            "worst_epochs": self._over(np.max, lambda one: one.epochs),
            "epochs_at_least": self._over(np.mean, _at_least),
            "epochs_saved": self.total_epochs - self.mean_epochs,
            "score": self._over(np.mean, lambda one: one.score),
            "regret": self.mean_regret,
            "worst_regret": self.worst_regret,
        }

    def _over(self, summary: Callable[..., Any], fact: Callable[[Outcomes], Numbers]) -> Numbers:
        """Return a mean or a worst case over the histories."""
        if len(self.outcomes) == 1:
            return fact(self.outcomes[0])
        with np.errstate(invalid="ignore"):
            return np.asarray(summary([fact(one) for one in self.outcomes], axis=0), dtype=np.float64)


def _details(one: Outcomes) -> dict[str, NDArray[Any]]:
    return {
        "censored": one.censored,
        "reason": one.reasons(),
        "stopped_epoch": one.stopped_epoch,
        "checks": one.checks,
        "epochs": one.epochs,
        "epochs_at_least": _at_least(one),
        "epochs_saved": one.epochs_saved,
        "best_epoch": one.best_epoch,
        "score": one.score,
        "regret": one.regret,
        "policy_best_epoch": one.policy_best_epoch,
        "policy_best": one.policy_best,
    }


def _at_least(one: Outcomes) -> Numbers:
    return np.where(one.censored, float(one.trajectory.total_epochs), one.epochs)


_WHOLE = frozenset({"stopped_epoch", "checks", "best_epoch", "policy_best_epoch"})


def _nullable(name: str, values: NDArray[Any]) -> Any:
    """Return a column: whole numbers with NA where there is none."""
    import pandas as pd

    return pd.array(values, dtype="Int64") if name in _WHOLE else values


def _checked(min_epochs: int | None) -> int | None:
    return None if min_epochs is None else StoppingPolicy(min_epochs=min_epochs).min_epochs
