"""The other processes of a training, as its first one sees them."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

from keepbest.errors import KeepbestError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

_SECONDS_TO_END = 2.0
"""How long a process may take to end once its connections are closed."""
_CONNECTION_LOST = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")


class LostRankError(KeepbestError):
    """A process of the training ended before the others.

    Args:
        rank: which one, from 0.
        exit_status: what it ended with; negative for the signal that killed it.
    """

    def __init__(self, rank: int, exit_status: int) -> None:
        self.rank, self.exit_status_of_rank = rank, exit_status
        killed = exit_status < 0
        how = f"was killed by {signal.Signals(-exit_status).name}" if killed else f"ended with status {exit_status}"
        super().__init__(
            f"every process of a training must live until its end, rank {rank} {how}. The log has what it said; one "
            "that was killed, as where memory runs out, says nothing. Resume the run when the cause is gone."
        )


def lost_rank(trainer: Trainer, error: BaseException) -> LostRankError | None:
    """Return which rank ended, where an error says that one cannot be reached; None for another error."""
    if not isinstance(error, RuntimeError) or not any(words in str(error) for words in _CONNECTION_LOST):
        return None
    deadline = time.monotonic() + _SECONDS_TO_END
    processes = [process for process in _processes(trainer) if isinstance(process, subprocess.Popen)]
    while processes and time.monotonic() < deadline:
        for rank, process in enumerate(processes, start=1):
            if (status := process.poll()) is not None:
                return LostRankError(rank, status)
        time.sleep(0.01)
    return None


def end_other_ranks(trainer: Trainer) -> None:
    """Kill the ranks that this process has started: what they would still say is only that they have lost this one."""
    processes = _processes(trainer)
    for process in processes:
        process.kill()
    processes.clear()  # or Lightning's observer of this list would take their end for a fault, and kill this one too


def _processes(trainer: Trainer) -> list[subprocess.Popen[bytes]]:
    """Return the processes that Lightning has started on this machine: the ranks from 1, unless it has forked them."""
    return getattr(trainer.strategy.launcher, "procs", [])
