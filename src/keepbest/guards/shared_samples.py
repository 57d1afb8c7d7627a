"""What validation shares with the training by drawing from the same dataset objects."""

from __future__ import annotations

import numpy as np

from keepbest.guards.dataset_parts import Part, Source


def shared_samples(val: Source, train: list[Source]) -> str | None:
    """Return in words what a validation source shares with the training, None for nothing that is certain."""
    training = [part for source in train if source.is_certain for part in source.parts]
    count = sum(_count_shared(part, training) for part in val.parts) if val.is_certain else 0
    if not count:
        return None
    if len(val.parts) == 1 and _is_all_of_both(val.parts[0], training):
        return f"the same dataset object ({type(val.parts[0].base).__name__}) in both loaders"
    total = sum(part.size for part in val.parts)
    return f"{count} samples of the same dataset object in both loaders: {percent(count, total)} of the validation data"


def percent(count: int, total: int) -> str:
    """Return a share with one decimal."""
    share = 100 * count / total
    return "less than 0.1 %" if share < 0.1 else f"{share:.1f} %"


def _count_shared(part: Part, training: list[Part]) -> int:
    drawn = [other.indices for other in training if other.base is part.base]
    if not drawn:
        return 0
    known = [indices for indices in drawn if indices is not None]
    if len(known) < len(drawn):  # all of them are trained on
        return part.size
    trained = np.concatenate(known)
    if part.indices is None:
        return len(np.unique(trained))
    return int(np.isin(np.unique(part.indices), trained).sum())


def _is_all_of_both(part: Part, training: list[Part]) -> bool:
    return part.indices is None and any(other.base is part.base and other.indices is None for other in training)
