"""Work that leaves no trace in the process that asked for it: generators, threads and switches are as before."""

from __future__ import annotations

import logging
import os
import random
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG")
_MOST_THREADS = 512
_NOISE = ("does not have many workers", "it is recommended to use", r"isinstance\(treespec, LeafSpec\)")


@contextmanager
def generators_kept() -> Iterator[None]:
    """Give the global random number generators back the states that they have now, at the end of the block."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    is_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # looking would take memory of each device
    devices = range(torch.cuda.device_count()) if is_used else ()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def switches_kept() -> Iterator[None]:
    """Undo at the end of the block what a trainer switches in torch and in the environment."""
    import torch

    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        for name, value in variables.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def take_threads(threads: int | None) -> None:
    """Compute with as many threads as a run recorded: sums that are split in another way come out a little different.

    Args:
        threads: the number; None, and one that no machine has, change nothing.
    """
    import torch

    if threads is not None and 0 < threads <= _MOST_THREADS:
        torch.set_num_threads(threads)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what Lightning says of every evaluation and nobody can act on."""
    import lightning.pytorch  # noqa: F401 - which sets the levels of its loggers when it is imported

    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            for message in _NOISE:
                warnings.filterwarnings("ignore", message=f".*{message}.*")
            for logger in loggers:
                logger.setLevel(logging.WARNING)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C be Ctrl-C: Lightning ends the process for it, and ignores all that come later."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt from error
        raise
