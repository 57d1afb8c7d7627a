"""Something that is looked at over and over, from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def looking(look: Callable[[], bool], every: float, name: str) -> Iterator[None]:
    """Look as long as the block lasts; there is no look under way once it has ended.

    Args:
        look: is called again and again, and returns whether that is to go on.
        every: the seconds between two calls, the first one included.
        name: of the thread.
    """
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(every) and look():
            pass

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
