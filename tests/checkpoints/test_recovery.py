"""What a crash left in the middle of a save is found, completed and cleared away."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from keepbest.checkpoints.recovery import content_of, settle
from keepbest.errors import IntegrityError, KeepbestError

OLD, NEW, OTHER = b"old", b"new", b"other"
PARTIAL, ANOTHER = ".best.ckpt.0123abcd.partial", ".best.ckpt.89abcdef.partial"
STALE = [".run.json.00000000.partial", ".last.ckpt.11111111.partial"]


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lay(directory: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (directory / name).write_bytes(content)


def lying_in(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


# What lies there when the record says NEW, and where that is.
FOUND = [
    ({"best.ckpt": NEW}, "best.ckpt"),
    ({"best.ckpt": NEW, PARTIAL: OTHER}, "best.ckpt"),
    ({"best.ckpt": NEW, PARTIAL: NEW}, "best.ckpt"),
    ({"best.ckpt": OLD, PARTIAL: NEW}, PARTIAL),
    ({"best.ckpt": OLD, PARTIAL: OTHER, ANOTHER: NEW}, ANOTHER),
    ({PARTIAL: NEW}, PARTIAL),
]


@pytest.mark.parametrize(("files", "expected"), FOUND)
def test_recorded_content_is_found_without_writing(tmp_path: Path, files: dict[str, bytes], expected: str) -> None:
    lay(tmp_path, files)
    assert content_of(tmp_path / "best.ckpt", hash_of(NEW)) == tmp_path / expected
    assert lying_in(tmp_path) == files


@pytest.mark.parametrize(("files", "expected"), FOUND)
def test_the_next_start_puts_it_in_its_place(tmp_path: Path, files: dict[str, bytes], expected: str) -> None:
    lay(tmp_path, files)
    settle(tmp_path, {"best.ckpt": hash_of(NEW)})
    assert lying_in(tmp_path) == {"best.ckpt": NEW}


LOST = [
    {"best.ckpt": OLD},
    {"best.ckpt": OLD, PARTIAL: OTHER},
    {"best.ckpt": OLD, ".last.ckpt.0123abcd.partial": NEW},
    {"best.ckpt": OLD, ".best.ckpt.partial": NEW, "best.ckpt.0123abcd.partial": NEW, ".best.ckpt.0123.partial": NEW},
]


@pytest.mark.parametrize("files", LOST)
def test_content_that_is_nowhere_is_told_with_both_hashes(tmp_path: Path, files: dict[str, bytes]) -> None:
    lay(tmp_path, files)
    with pytest.raises(IntegrityError, match=rf"best\.ckpt was recorded as {hash_of(NEW)}, is {hash_of(OLD)}\. "):
        content_of(tmp_path / "best.ckpt", hash_of(NEW))


@pytest.mark.parametrize("directory", [".", "nowhere"])
def test_a_file_that_is_gone_is_told(tmp_path: Path, directory: str) -> None:
    lay(tmp_path, {PARTIAL: OTHER})
    with pytest.raises(IntegrityError, match=rf"recorded with the sha256 {hash_of(NEW)}, and does not exist"):
        content_of(tmp_path / directory / "best.ckpt", hash_of(NEW))


def test_a_save_that_ends_while_its_content_is_looked_for_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, {"best.ckpt": OLD, PARTIAL: NEW})

    def then_rename(path: Path) -> list[Path]:
        (tmp_path / PARTIAL).replace(path)
        return [tmp_path / PARTIAL]

    monkeypatch.setattr("keepbest.checkpoints.recovery.partials_of", then_rename)
    assert content_of(tmp_path / "best.ckpt", hash_of(NEW)) == tmp_path / "best.ckpt"


# The next start: what lies there, what is recorded, what is left


@pytest.mark.parametrize(
    ("files", "recorded", "left"),
    [
        ({}, {}, {}),
        ({"best.ckpt": OLD}, {}, {"best.ckpt": OLD}),
        ({"best.ckpt": OLD, PARTIAL: NEW}, {}, {"best.ckpt": OLD}),
        ({"best.ckpt": OLD, PARTIAL: NEW}, {"best.ckpt": OLD}, {"best.ckpt": OLD}),
        ({"best.ckpt": OLD, PARTIAL: NEW}, {"best.ckpt": OTHER}, {"best.ckpt": OLD}),
        ({"best.ckpt": OLD, PARTIAL: NEW, ANOTHER: NEW}, {"best.ckpt": NEW}, {"best.ckpt": NEW}),
        ({"best.ckpt": OLD, **dict.fromkeys(STALE, NEW)}, {"best.ckpt": OLD}, {"best.ckpt": OLD}),
        ({"mine.partial": OLD, ".partial": OLD}, {}, {"mine.partial": OLD, ".partial": OLD}),
        ({"best.ckpt": NEW}, {"best.ckpt": NEW, "removed.ckpt": OLD}, {"best.ckpt": NEW}),
    ],
)
def test_after_the_next_start_no_temporary_file_is_left(
    tmp_path: Path, files: dict[str, bytes], recorded: dict[str, bytes], left: dict[str, bytes]
) -> None:
    lay(tmp_path, files)
    settle(tmp_path, {name: hash_of(content) for name, content in recorded.items()})
    assert lying_in(tmp_path) == left


def test_several_files_of_a_directory_are_settled_at_once(tmp_path: Path) -> None:
    lay(tmp_path, {"best.ckpt": OLD, PARTIAL: NEW, "last.ckpt": OLD, STALE[1]: OTHER})
    settle(tmp_path, {"best.ckpt": hash_of(NEW), "last.ckpt": hash_of(OTHER)})
    assert lying_in(tmp_path) == {"best.ckpt": NEW, "last.ckpt": OTHER}


def test_a_directory_that_was_never_made_has_nothing_to_settle(tmp_path: Path) -> None:
    settle(tmp_path / "checkpoints", {"best.ckpt": hash_of(NEW)})
    assert lying_in(tmp_path) == {}


def test_what_is_done_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lay(tmp_path, {"best.ckpt": OLD, PARTIAL: NEW, STALE[1]: OTHER})
    with caplog.at_level(logging.INFO):
        settle(tmp_path, {"best.ckpt": hash_of(NEW)})
    said = {record.levelname: record.getMessage() for record in caplog.records}
    assert said["WARNING"].startswith(f"completed the save of {tmp_path / 'best.ckpt'}, which was interrupted")
    assert said["INFO"] == f"removed {tmp_path / STALE[1]}, left from an interrupted save"


def test_a_link_is_no_temporary_file(tmp_path: Path) -> None:
    lay(tmp_path, {"elsewhere": NEW, "best.ckpt": OLD})
    (tmp_path / PARTIAL).symlink_to(tmp_path / "elsewhere")
    settle(tmp_path, {"best.ckpt": hash_of(NEW)})
    assert (tmp_path / "best.ckpt").read_bytes() == OLD
    with pytest.raises(IntegrityError, match="was recorded as"):
        content_of(tmp_path / "best.ckpt", hash_of(NEW))


def test_on_a_disk_that_became_read_only_the_content_is_found_and_not_moved(
    small_disk: Path, make_read_only: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    lay(small_disk, {"best.ckpt": OLD, PARTIAL: NEW})
    make_read_only(small_disk)
    assert content_of(small_disk / "best.ckpt", hash_of(NEW)) == small_disk / PARTIAL
    with pytest.raises(
        KeepbestError, match=r"could not be completed: Read-only file system\. Its whole content is in "
    ):
        settle(small_disk, {"best.ckpt": hash_of(NEW)})
    settle(small_disk, {"best.ckpt": hash_of(OLD)})
    assert "could not be removed: Read-only file system" in caplog.text
    assert lying_in(small_disk) == {"best.ckpt": OLD, PARTIAL: NEW}
