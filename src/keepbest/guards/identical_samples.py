"""Which samples of some loaders are those of others, bit for bit, as far as there is time to read them."""

from __future__ import annotations

import time
from typing import NamedTuple

from lightning.pytorch.utilities.seed import isolate_rng

from keepbest.guards.dataset_parts import Source, sources_of
from keepbest.guards.sample_reading import Reading, read_digests


class Comparison(NamedTuple):
    """What was read of both sides, and how many samples of the one are among those of the other."""

    shared: int
    of: Reading
    among: Reading

    @property
    def is_complete(self) -> bool:
        """Whether every sample of both sides was read."""
        return self.of.is_complete and self.among.is_complete


def identical_samples(of: list[Source], among: list[Source], seconds: float, max_samples: int) -> Comparison:
    """Compare the samples that some sources draw with those of others; see `read_digests`.

    No random number of the process changes.

    Args:
        of: whose samples are counted, of map style; they get up to half of the time.
        among: where they are looked for, of map style.
        seconds: how long to read, at most.
        max_samples: how many samples of each side to read, at most.

    Raises:
        Exception: whatever a dataset raises.
        UnhashableSampleError: a sample cannot be compared.
    """
    failure = None
    with isolate_rng():
        try:  # inside, because isolate_rng does not restore what it kept when an error passes through it
            start = time.monotonic()
            counted = read_digests(of, seconds / 2, max_samples)
            left = seconds - (time.monotonic() - start) if counted.digests else 0.0
            known = read_digests(among, left, max_samples)
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
    if failure is not None:
        raise failure
    found = set(known.digests)
    return Comparison(sum(each in found for each in counted.digests), counted, known)


def served_samples(loaders: object, others: object, seconds: float, max_samples: int) -> Comparison | None:
    """Compare the samples that loaders serve with those of others, bit for bit, as they are served.

    Samples that a loader changes before it serves them (standardised by other statistics, augmented at random) are
    other samples.

    Args:
        loaders: in any nested collection; their samples are counted.
        others: loaders where they are looked for.
        seconds: see `identical_samples`.
        max_samples: see `identical_samples`.

    Returns:
        None where nothing can be compared: streams, foreign loaders, no samples.

    Raises:
        Exception: see `identical_samples`.
    """
    sides = [[source for source in sources_of(side) if source] for side in (loaders, others)]
    of, among = (readable(side, other) for side, other in zip(sides, sides[::-1], strict=True))
    comparison = identical_samples(of, among, seconds, max_samples) if of and among else None
    return comparison if comparison and comparison.of.digests and comparison.among.digests else None


def readable(sources: list[Source], others: list[Source]) -> list[Source]:
    """Return the sources whose samples can be compared with the others'.

    An unknown sampler may draw any part of its dataset. All of it is read, unless the others share the dataset.
    """
    return [
        source
        for source in sources
        if source.is_map_style and (source.is_certain or not source.shares_base_with(others))
    ]
