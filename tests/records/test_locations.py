"""Where runs lie, and which is the newest."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from keepbest.errors import ConfigError, RecordError
from keepbest.reading.newest import newest_run
from keepbest.records.locations import new_id, point_latest, run_directory
from keepbest.records.run_record import RunRecord, Timing
from keepbest.records.store import write_record


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def add_run(outputs: Path, pending: RunRecord) -> Callable[[str], Path]:
    """Make the directory of a run, with its record."""

    def add(name: str) -> Path:
        run_dir = outputs / "runs" / name
        run_dir.mkdir(parents=True)
        write_record(run_dir, pending)
        return run_dir

    return add


def test_latest_points_at_the_run_that_was_launched_last(outputs: Path, add_run: Callable[[str], Path]) -> None:
    """Launched, not named: a user's own directory names need not begin with the time."""
    for name in ("2026-02-01_a", "my_run"):
        point_latest(add_run(name))
    point_latest(add_run("2026-01-01_b"))
    assert newest_run(outputs) == outputs / "runs" / "2026-01-01_b"
    assert sorted(path.name for path in outputs.iterdir()) == ["latest", "runs"]


def test_the_link_is_relative_so_that_outputs_can_be_moved(
    outputs: Path, tmp_path: Path, add_run: Callable[[str], Path]
) -> None:
    add_run("2026-02-01_a")
    point_latest(add_run("2026-01-01_b"))
    assert not (outputs / "latest").readlink().is_absolute()
    moved = outputs.rename(tmp_path / "elsewhere")
    assert newest_run(moved) == moved / "runs" / "2026-01-01_b"


def test_a_relative_run_directory_is_linked_too(
    outputs: Path, tmp_path: Path, add_run: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = add_run("a")
    monkeypatch.chdir(tmp_path)
    point_latest(run_dir.relative_to(tmp_path))
    assert newest_run(Path("outputs")).resolve() == run_dir


LINKS: dict[str, Callable[[Path], None]] = {
    "missing": lambda link: None,
    "to a run that is gone": lambda link: link.symlink_to("runs/gone"),
    "to what is no run": lambda link: link.symlink_to("runs"),
}


@pytest.mark.parametrize("make_link", LINKS.values(), ids=LINKS)
def test_without_a_link_the_run_counts_that_began_last(
    outputs: Path, add_run: Callable[[str], Path], make_link: Callable[[Path], None], pending: RunRecord
) -> None:
    for name, start in (("2026-02-01_10-00-00_a", "2026-02-01T10:00:00+00:00"), ("my_run", "2025-12-31T10:00:00")):
        write_record(add_run(name), dataclasses.replace(pending, timing=Timing(start)))
    (outputs / "runs" / "2026-03-01_not_a_run").mkdir()
    make_link(outputs / "latest")
    assert newest_run(outputs) == outputs / "runs" / "2026-02-01_10-00-00_a"


def test_no_run_is_told_with_the_place_and_the_remedy(outputs: Path) -> None:
    place = re.escape(repr(str(outputs)))
    with pytest.raises(RecordError, match=f"there is no run in {place}. Train one with keepbest train"):
        newest_run(outputs)


@pytest.mark.parametrize("place", ["elsewhere/my_run", "outputs/sweeps/2026/0"])
def test_a_run_that_lies_elsewhere_gets_no_link(tmp_path: Path, place: str) -> None:
    run_dir = tmp_path / place
    run_dir.mkdir(parents=True)
    point_latest(run_dir)
    assert not list(tmp_path.rglob("*latest*"))


def test_a_directory_in_the_links_place_leaves_no_litter(outputs: Path, add_run: Callable[[str], Path]) -> None:
    """`cp -rL` makes a directory of the link."""
    run_dir = add_run("2026-01-01_a")
    shutil.copytree(run_dir, outputs / "latest")
    point_latest(run_dir)
    assert sorted(path.name for path in outputs.iterdir()) == ["latest", "runs"]


def test_a_directory_in_the_links_place_is_not_taken_for_the_newest(
    outputs: Path, add_run: Callable[[str], Path]
) -> None:
    shutil.copytree(add_run("2026-01-01_a"), outputs / "latest")
    newer = add_run("2026-02-01_b")
    os.utime(outputs / "runs" / "2026-01-01_a" / "run.json", (9, 9))
    point_latest(newer)
    assert newest_run(outputs) == newer


def test_a_run_is_given_by_its_directory_or_any_file_right_inside_it(
    outputs: Path, tmp_path: Path, add_run: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = add_run("a")
    for path in (run_dir, run_dir / "run.json", str(run_dir)):
        assert run_directory(path) == run_dir
    monkeypatch.chdir(tmp_path)
    assert run_directory("outputs/runs/a/run.json") == Path("outputs/runs/a"), "as the user wrote it"
    assert run_directory("nowhere") == Path("nowhere")


@pytest.mark.parametrize("path", ["a\0b", "a" * 5000, "~nobody_of_this_name/run", "\ud800"], ids=ascii)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"a run must be given by a path: .*, got '"):
        run_directory(path)


def test_ids_are_short_and_differ() -> None:
    ids = {new_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch("[0-9a-f]{6}", name) for name in ids)
