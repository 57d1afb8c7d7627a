"""What the callbacks say, once and not once per process."""

from __future__ import annotations

import logging

from lightning_utilities.core.rank_zero import rank_zero_only, rank_zero_warn

# below Lightning's logger, so that a plain trainer shows the lines where it shows its own
_log = logging.getLogger("lightning.pytorch.keepbest")


@rank_zero_only
def inform(message: str) -> None:
    """Say something that a user wants to know and need not act on."""
    _log.info(message)


def warn(message: str) -> None:
    """Say something that is probably not what the user wants."""
    rank_zero_warn(message, stacklevel=6)
