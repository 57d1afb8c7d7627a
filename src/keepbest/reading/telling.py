"""What goes wrong inside a library, told as an error of keepbest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keepbest.errors import KeepbestError

_LONGEST_MESSAGE = 1000


@contextmanager
def telling(kind: type[KeepbestError], rule: str) -> Iterator[None]:
    """Turn whatever goes wrong into an error that says where; what keepbest words itself stays as it is."""
    try:
        yield
    except KeepbestError:
        raise
    except Exception as error:
        raise kind(f"{rule}, {type(error).__name__}: {str(error)[:_LONGEST_MESSAGE]}") from error
