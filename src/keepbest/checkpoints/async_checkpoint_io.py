"""Checkpoints written while the training goes on, with every guarantee of those it waits for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.checkpoints.host_copy import HostCopy
from keepbest.checkpoints.writing import BeforeReplace

log = logging.getLogger(__name__)


class AsyncDurableCheckpointIO(DurableCheckpointIO):
    """Copies a checkpoint to main memory, lets the training go on and writes the copy in a thread. For large models.

    There is one copy: a save waits for the one before it. A removal waits for the saves before it and is dropped when
    one failed, so that the old best goes once the new one is on the disk (Lightning's AsyncCheckpointIO removes it at
    once). What went wrong is logged at once and raised by the next save, load, `wait` or `teardown`, with which
    Lightning ends a training. After a save outside of a training call `wait`.

    `before_replace` is called in the thread, `before_save` in the training's, when no other save is under way.
    """

    def __init__(
        self, before_replace: BeforeReplace | None = None, before_save: Callable[[Path], None] | None = None
    ) -> None:
        super().__init__(before_replace, before_save)
        self._copy = HostCopy()
        self._executor: ThreadPoolExecutor | None = None
        self._thread: int | None = None
        self._last: Future[None] | None = None
        self._failure: BaseException | None = None

    @property
    def sha256(self) -> dict[Path, str]:
        """The hash of each checkpoint that this object wrote and did not remove, by path; waits for those under way."""
        self._join()
        return super().sha256

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Copy a checkpoint and leave it to the thread; a path with a scheme is left to Lightning, and waited for.

        Raises:
            KeepbestError: when the save before this one failed, with its reason. Nothing is saved then.
        """
        self.wait()
        super().save_checkpoint(checkpoint, path, storage_options)

    def _save(self, checkpoint: dict[str, Any], target: Path) -> None:
        self._submit(super()._save, self._copy.take(checkpoint), target)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint when all that was saved before lies on the disk; when that failed, keep it."""
        self._submit(super().remove_checkpoint, path)

    def load_checkpoint(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint, once those under way are written."""
        self.wait()
        return super().load_checkpoint(*arguments, **options)

    def wait(self) -> None:
        """Return when everything lies on the disk.

        Raises:
            KeepbestError: when it could not be written. It is raised once.
        """
        self._join()
        failure, self._failure = self._failure, None
        if failure:
            raise failure

    def teardown(self) -> None:
        """Wait, end the thread and give the memory back. Another save starts anew.

        Raises:
            KeepbestError: when a checkpoint could not be written.
        """
        try:
            self.wait()
        finally:
            if self._executor:
                self._executor.shutdown()
            self._executor = self._last = None
            self._copy.release()
            super().teardown()

    def _submit(self, task: Callable[..., None], *arguments: Any) -> None:
        self._executor = self._executor or ThreadPoolExecutor(1, "keepbest-checkpoints")
        self._last = self._executor.submit(self._perform, task, *arguments)

    def _perform(self, task: Callable[..., None], *arguments: Any) -> None:
        if self._failure:  # a removal behind a save that failed: what it would remove is the best there is
            return
        self._thread = threading.get_ident()
        try:
            task(*arguments)
        except BaseException as error:  # noqa: BLE001  # raised in the training's thread
            log.error("%s", error)  # noqa: TRY400  # the traceback comes with the exception
            self._failure = error

    def _join(self) -> None:
        """Wait for what was submitted, unless the thread itself asks, from inside `before_replace`."""
        if self._last and threading.get_ident() != self._thread:
            self._last.result()
