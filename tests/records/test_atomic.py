"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from keepbest.records.atomic import PARTIAL_SUFFIX, replacing, write_text

NamesIn = Callable[[Path], list[str]]


def test_until_the_block_ends_the_old_file_is_there(tmp_path: Path, names_in: NamesIn) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
        (partial,) = set(names_in(tmp_path)) - {"a.txt"}
        assert partial.startswith(".a.txt.")
        assert partial.endswith(PARTIAL_SUFFIX)
    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("there", [True, False], ids=["over a file", "a new file"])
def test_a_block_that_fails_changes_nothing(
    tmp_path: Path, names_in: NamesIn, error: type[BaseException], there: bool
) -> None:
    path = tmp_path / "a.txt"
    if there:
        path.write_text("old")

    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error("stop")

    with pytest.raises(error, match="stop"):
        write_half()
    assert {name: (tmp_path / name).read_text() for name in names_in(tmp_path)} == ({"a.txt": "old"} if there else {})


def test_a_reader_that_has_the_old_file_open_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_text(tmp_path / "nowhere" / "a.txt", "text")


def test_text_is_written_in_utf_8_without_other_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "ä\n∞\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "ä\n∞\r\n".encode()
