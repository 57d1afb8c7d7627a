"""The sweep that began last: by its records, as a listing has it, without reading more of them than it takes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import keepbest
from keepbest.errors import IntegrityError, RecordError
from keepbest.reading import newest
from keepbest.reading.catalogue import listed
from keepbest.records.run_record import Timing
from keepbest.records.store import sealed


@pytest.fixture
def add_sweep(make_sweep, fake_job, tmp_path) -> Callable[..., Path]:
    """Write a sweep whose jobs began at these hours; None for one that has not begun."""

    def add(name: str, *hours: int | None) -> Path:
        starts = [None if hour is None else f"2026-11-22T{hour:02}:00:00+00:00" for hour in hours]
        jobs = [fake_job([f"p={start}"], record={"timing": Timing(start)}) for start in starts]
        (tmp_path / "outputs" / "sweeps").mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(make_sweep(jobs, name), tmp_path / "outputs" / "sweeps" / name))

    return add


def latest(sweep: Path) -> str:
    """Return the name of the latest sweep beside this one, which a listing must have first."""
    outputs = sweep.parent.parent
    name = keepbest.latest_sweep(outputs).directory.name
    assert Path(listed(outputs)[0].name).name == name
    return name


def test_a_sweep_began_with_whichever_of_its_jobs_was_first(add_sweep) -> None:
    add_sweep("job 0 last", 18, 9)
    assert latest(add_sweep("between", 10, 11)) == "between"
    assert latest(add_sweep("later", None, 12, 11)) == "later"
    assert latest(add_sweep("job 0 was repeated", 19, 8, 20)) == "later"


def test_of_two_that_began_together_the_last_name_counts_which_begins_with_the_time(add_sweep) -> None:
    sweeps = add_sweep("b", 9, 10).parent
    add_sweep("a copy", 10, 9)
    assert keepbest.latest_sweep(sweeps.parent).directory.name == "b"
    add_sweep("z copy", 9)
    assert keepbest.latest_sweep(sweeps.parent).directory.name == "z copy"


def test_jobs_may_lie_deeper_and_others_records_do_not_count(add_sweep, tmp_path) -> None:
    add_sweep("between", 10)
    deep = add_sweep("deep", 11)
    (deep / "lr=1").mkdir()
    (deep / "0").rename(deep / "lr=1" / "0")
    record = json.loads((deep / "sweep.json").read_text())
    record.pop("checksum")
    record["jobs"][0]["directory"] = "lr=1/0"
    (deep / "sweep.json").write_text(sealed(record))
    assert latest(deep) == "deep"
    elsewhere = add_sweep("linked", 12)
    shutil.move(elsewhere / "0", tmp_path / "old")
    (elsewhere / "0").symlink_to(tmp_path / "old")
    os.utime(elsewhere / "sweep.json", (9, 9))
    with pytest.raises(RecordError, match="directory"):
        keepbest.open_sweep(elsewhere)
    assert keepbest.latest_sweep(deep.parent.parent).directory == deep


def test_a_sweep_that_cannot_be_read_is_dated_by_its_jobs(add_sweep) -> None:
    damaged = add_sweep("damaged", 9)
    good = add_sweep("good", 10)
    with (damaged / "sweep.json").open("r+") as file:
        file.write("{ ")
    assert keepbest.latest_sweep(good.parent.parent).directory == good
    shutil.rmtree(good)
    with pytest.raises(IntegrityError, match="checksum"):
        keepbest.latest_sweep(good.parent.parent)


def test_of_many_sweeps_one_record_each_is_read_and_few_of_them_whole(add_sweep, monkeypatch) -> None:
    """Copies: each file was written just now."""
    for hour in range(20):
        sweep = add_sweep(f"sweep {hour}", hour, *[hour + 1] * 7)
    read: list[Path] = []
    whole: list[Path] = []
    read_record, contents_of = newest.read_record, newest.contents_of
    monkeypatch.setattr(newest, "read_record", lambda place: read.append(place) or read_record(place))
    monkeypatch.setattr(newest, "contents_of", lambda place: whole.append(place) or contents_of(place))
    assert newest.newest_sweep(sweep.parent.parent).name == "sweep 19"
    assert (len(read), len(whole) <= 2) == (20, True)
