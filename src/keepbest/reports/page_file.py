"""The file that a page is written to."""

from __future__ import annotations

from pathlib import Path

from keepbest.errors import ConfigError
from keepbest.records.atomic import write_text
from keepbest.reports.page import GENERATOR

PAGE_FILE = "report.html"
_HEAD = 2000  # bytes


def page_path(directory: Path, output: Path | None) -> Path:
    """Return the file to write: the one that was named, else `report.html` in a directory.

    Raises:
        ConfigError: when it is there, and is no page of ours.
    """
    if output is not None and output.is_dir():
        raise ConfigError(
            "--output must name a file", received=str(output), remedy=f"Write it as --output {output / PAGE_FILE}"
        )
    page = directory / PAGE_FILE if output is None else output
    if page.exists() and not _is_page(page):
        raise ConfigError(
            "a page must not take the place of a file that is something else than a page of keepbest",
            received=str(page),
            remedy="Choose another name with --output, or remove it",
        )
    return page


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        ConfigError: where nothing can be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        raise ConfigError(
            f"a page needs a directory that can be written to: {error.strerror}",
            received=str(path),
            remedy=f"Write it elsewhere, with --output {PAGE_FILE}",
        ) from error


def _is_page(path: Path) -> bool:
    if not path.is_file():  # a pipe would wait for somebody to write
        return False
    try:
        with path.open("rb") as file:
            return f'<meta name="generator" content="{GENERATOR}">'.encode() in file.read(_HEAD)
    except OSError:
        return False
