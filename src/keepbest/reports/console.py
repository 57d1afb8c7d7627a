"""Where commands print."""

from __future__ import annotations

from rich.console import Console


def standard_console() -> Console:
    """Return a console on standard output, where nothing is coloured by what it looks like.

    In a notebook it writes plain text, as into a pipe: rich would display each line as a page of its own there.
    """
    console = Console(highlight=False)
    return Console(highlight=False, force_jupyter=False, force_terminal=False) if console.is_jupyter else console
