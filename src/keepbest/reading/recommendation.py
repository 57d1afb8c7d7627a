"""The policy to take, by what it came to on recorded histories."""

from __future__ import annotations

from dataclasses import dataclass

from keepbest.stopping.policy import StoppingPolicy


@dataclass(frozen=True)
class Recommendation:
    """A policy, and what it came to: means and worst cases over the histories.

    Args:
        policy: its settings.
        overrides: what turns a training as the histories were into one with this policy, as `keepbest train` takes it.
        epochs: the mean number of epochs.
        regret: the mean regret.
        worst_regret: the largest one.
    """

    policy: StoppingPolicy
    overrides: list[str]
    epochs: float
    regret: float
    worst_regret: float
