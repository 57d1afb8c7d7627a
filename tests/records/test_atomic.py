"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from keepbest.records.atomic import (
    PARTIAL_SUFFIX,
    make_directory,
    partials_in,
    partials_of,
    replacing,
    write_text,
)

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


# Announcing: what the caller records before the new file takes its place


def test_an_announcement_finds_the_whole_new_file_beside_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    seen = []
    with replacing(
        path, announce=lambda: seen.append([file.read_text() for file in [path, *partials_of(path)]])
    ) as file:
        file.write(b"new")
    assert seen == [["old", "new"]]
    assert path.read_text() == "new"
    assert partials_of(path) == []


def announcing(path: Path, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with replacing(path, announce=fail) as file:
        file.write(b"new")


def test_an_announcement_that_fails_changes_nothing(tmp_path: Path, names_in: NamesIn) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="no"):
        announcing(path, OSError("no"))
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_ctrl_c_while_announcing_leaves_both_files(tmp_path: Path) -> None:
    """Nobody knows whether it was announced: the next start does."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        announcing(path, KeyboardInterrupt())
    assert [file.read_text() for file in [path, *partials_of(path)]] == ["old", "new"]


def test_what_was_announced_is_kept_when_it_cannot_take_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.mkdir()
    for announce in (None, lambda: None):
        with pytest.raises(IsADirectoryError), replacing(path, announce=announce) as file:
            file.write(b"new")
        assert [partial.read_text() for partial in partials_of(path)] == (["new"] if announce else [])


def test_temporary_files_are_told_by_their_names(tmp_path: Path) -> None:
    names = {".a.0123abcd.partial": "a", ".b.c.89abcdef.partial": "b.c", "..d.00000000.partial": ".d"}
    others = ["a", ".a.partial", "a.0123abcd.partial", ".a.0123.partial", ".a.0123ABCD.partial", "..0123abcd.partial"]
    for name in [*names, *others]:
        (tmp_path / name).touch()
    (tmp_path / ".e.0123abcd.partial").mkdir()
    assert {path.name: target for path, target in partials_in(tmp_path).items()} == names


def test_directories_are_made_as_far_as_they_are_missing(tmp_path: Path) -> None:
    for _ in range(2):
        make_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o027])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~umask
