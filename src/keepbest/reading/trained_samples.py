"""Which of the samples that were evaluated the model was trained on."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.composition.allowance import NotAllowed
from keepbest.reading.evaluated_data import require_same_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lightning.pytorch import LightningDataModule

_SECONDS, _MOST_SAMPLES, _LONGEST_REASON = 5.0, 200_000, 300
_STANDARDIZERS = ("input_standardizer", "target_standardizer")
_UNREADABLE = "their loaders serve no single samples that could be compared"
_LIMITS = ("limit_train_batches", "overfit_batches")


@dataclass(frozen=True)
class TrainedSamples:
    """What came of looking for the evaluated samples among those of the run's own training split.

    What the loaders serve is compared bit for bit, and of keepbest's own data modules what they have not standardised
    yet. Samples that another data module standardises by statistics of its own, or changes at random, are not found.

    Args:
        found: how many are among those of the split; None where it was not looked at.
        compared: how many were looked for, and how many there are.
        among: how many of the training split were read, and how many there are.
        obstacle: why it was not looked at.
        limit: the setting of the trainer that kept training from seeing all of the split; empty where there is none.
    """

    found: int | None = None
    compared: tuple[int, int] = (0, 0)
    among: tuple[int, int] = (0, 0)
    obstacle: str = ""
    limit: str = ""

    @property
    def overlap(self) -> int | None:
        """How many the model was trained on; None where that is not known."""
        return None if self.found and self.limit else self.found

    @property
    def is_doubt(self) -> bool:
        """Whether there is something to warn of: samples that the model knows, or that nobody could tell."""
        return self.found != 0

    def __str__(self) -> str:
        if self.found is None:
            return f"not looked at, whether samples are among those the model was trained on: {self.obstacle}"
        left_out = f"; {_share(self.compared)} were looked for among {_share(self.among)}, the others were left out"
        partly = left_out if self.compared[0] < self.compared[1] or self.among[0] < self.among[1] else ""
        samples = "sample" if self.compared[0] == 1 else "samples"
        if self.found:
            are = "is" if self.found == 1 else "are"
            text = f"{self.found} of {self.compared[0]} {samples} {are} among those"
            if self.limit:
                split = f"of the split that the model was trained from, limited by trainer.{self.limit}"
                return f"{text} {split}: how many of them it was trained on is not known{partly}"
            return f"{text} the model was trained on: on these the scores say nothing of new data{partly}"
        return f"none of {self.compared[0]} {samples} was found among those the model was trained on{partly}"


def trained_samples(
    data: LightningDataModule,
    split: str,
    loaders: Any,
    own_data: Callable[[], LightningDataModule],
    own_place: Path | None = None,
    limit: str = "",
) -> TrainedSamples:
    """Look for the samples of other data than the run's own in its training split, for some seconds.

    Before that, their classes and columns are compared with those of the run's own data.

    Args:
        data: that were evaluated.
        split: of them.
        loaders: of the split.
        own_data: makes the run's own data module, set up for the fit.
        own_place: where its relative paths start; None for the working directory.
        limit: see `limit_of`.

    Returns:
        What was found; the run's own data may be gone, and then it says so.

    Raises:
        ConfigError: see `require_same_names`.
    """
    try:
        with _working_in(own_place):
            own = own_data()
    except NotAllowed as error:
        return TrainedSamples(obstacle=f"the class of the run's own data is not allowed, {error.received}")
    except Exception as error:  # noqa: BLE001 - the run's own data may be gone
        return _not_looked_at(error)
    require_same_names(data, own)
    try:
        return _found(*_comparable(data, split, loaders, own, own_place), limit)
    except Exception as error:  # noqa: BLE001 - datasets raise anything
        return _not_looked_at(error)


def limit_of(trainer: Mapping[str, Any]) -> str:
    """Return the setting that lets training see a part of its split only; an empty text where it sees all.

    Args:
        trainer: the settings in the run's config.
    """
    values = {name: trainer.get(name) for name in _LIMITS}
    return next((name for name, value in values.items() if value and not _is_whole(value)), "")


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value == 1.0  # the integer is one batch


def _not_looked_at(error: Exception) -> TrainedSamples:
    return TrainedSamples(obstacle=f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}")


def _found(loaders: Any, known: Any, limit: str) -> TrainedSamples:
    from keepbest.guards.identical_samples import served_samples

    found = served_samples(loaders, known, _SECONDS, _MOST_SAMPLES)
    if found is None:
        return TrainedSamples(obstacle=_UNREADABLE)
    compared, among = ((len(side.digests), side.total) for side in (found.of, found.among))
    return TrainedSamples(found.shared, compared, among, limit=limit)


def _comparable(data: Any, split: str, loaders: Any, own: Any, own_place: Path | None) -> tuple[Any, Any]:
    """Return the loaders of both sides: of samples that are not standardised yet, where both can serve such."""
    with _working_in(own_place):
        is_raw = _is_standardised(data, own) and all(hasattr(side, "raw_dataloader") for side in (data, own))
        known = own.raw_dataloader("train") if is_raw else own.train_dataloader()
    return data.raw_dataloader(split) if is_raw else loaders, known


def _is_standardised(*sides: Any) -> bool:
    return any(getattr(side, name, None) is not None for side in sides for name in _STANDARDIZERS)


@contextmanager
def _working_in(place: Path | None) -> Iterator[None]:
    here = Path.cwd()
    try:
        os.chdir(place or here)
        yield
    finally:
        os.chdir(here)


def warn_of_trained_samples(found: Iterable[TrainedSamples]) -> None:
    """Warn of evaluated samples that the model was trained on, or that could not be compared.

    Args:
        found: what was found.
    """
    for samples in found:
        if samples.is_doubt:
            warnings.warn(f"{samples}.", stacklevel=3)


def _share(numbers: tuple[int, int]) -> str:
    return f"{numbers[0]} of {numbers[1]}"
