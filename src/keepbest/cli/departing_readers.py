"""Output whose reader may leave, as `head` does: what nobody reads any more is dropped, and the command goes on."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Pipe(io.FileIO):
    """A descriptor to which writing goes well, whether somebody reads it or not."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def let_readers_leave() -> None:
    """Let neither standard output nor standard error of this process fail because nobody reads it any more.

    Streams that somebody has put in their place stay.
    """
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        sys.stdout = _unfailing(sys.stdout)
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _unfailing(sys.stderr)


def _unfailing(stream: TextIO) -> TextIO:
    stream.flush()
    pipe = _Pipe(stream.fileno(), "w", closefd=False)
    at_once = stream.isatty() or stream is sys.__stderr__
    return io.TextIOWrapper(
        io.BufferedWriter(pipe), encoding=stream.encoding, errors=stream.errors, line_buffering=at_once
    )
