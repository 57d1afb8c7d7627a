"""Somebody else's sweep: nothing leads out of its directory, and what it says is shown, not obeyed."""

from __future__ import annotations

import json
import os
import shutil
from html.parser import HTMLParser

import pytest

import keepbest
from keepbest.errors import KeepbestError, RecordError
from keepbest.reading import run_files, sweep_table
from keepbest.records.run_record import Failure, Objective, Stopping
from keepbest.records.store import sealed

HOSTILE = "<script>alert(1)</script>$\\frac{\x1b[31m\x07\u202e\ud800"


@pytest.fixture
def edit(make_sweep, fake_job):
    """Write a sweep of two jobs, and change the keys of the first."""

    def change(**changes):
        path = make_sweep([fake_job(["seed=1"], values=[1.0, 0.5]), fake_job(["seed=2"], values=[1.0, 0.4])])
        data = json.loads((path / "sweep.json").read_text())
        data.pop("checksum")
        data["jobs"][0] |= changes
        (path / "sweep.json").write_text(sealed(data))
        return path

    return change


LEADS_OUT = "must be relative to the sweep's directory and inside it"
PATHS = {
    "upwards": ("../other", LEADS_OUT),
    "upwards from inside": ("1/../../other", LEADS_OUT),
    "absolute": ("/etc", LEADS_OUT),
    "of another system": ("C:\\Users", LEADS_OUT),
    "upwards on another system": ("..\\other", LEADS_OUT),
    "a URL": ("http://example.org/run", LEADS_OUT),
    "nothing": ("", LEADS_OUT),
    "a zero byte": ("a\0b", LEADS_OUT),
    "no path": ("\ud800", "a file of a sweep must lie in its directory"),
}


@pytest.mark.parametrize("key", ["directory", "trajectory"])
@pytest.mark.parametrize(("path", "message"), PATHS.values(), ids=PATHS)
def test_a_path_out_of_the_directory_is_refused_when_the_sweep_is_opened(edit, key, path, message):
    if key == "trajectory" and not path:
        return  # is no trajectory
    with pytest.raises(RecordError, match=message):
        keepbest.open_sweep(edit(**{key: path}))


@pytest.mark.parametrize("key", ["directory", "trajectory"])
def test_a_link_out_of_the_directory_is_refused_and_followed_with_trust(edit, tmp_path, key):
    path = edit(**{key: "linked"})
    shutil.copytree(path / "0", tmp_path / "outside")
    (path / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(RecordError, match=r"a file of a sweep must lie in its directory.* trust=True"):
        keepbest.open_sweep(path)
    assert keepbest.open_sweep(path, trust=True).table()["status"].tolist() == ["completed"] * 2


def test_a_record_that_is_a_link_out_is_not_read(edit, tmp_path):
    path = edit()
    shutil.move(path / "0" / "run.json", tmp_path / "run.json")
    (path / "0" / "run.json").symlink_to(tmp_path / "run.json")
    with pytest.warns(UserWarning, match="must lie in its directory"):
        assert keepbest.open_sweep(path).table()["status"].tolist() == ["unreadable", "completed"]


@pytest.mark.parametrize("name", ["sweep.json", "0/run.json"])
def test_a_device_or_a_pipe_is_not_opened(edit, name):
    path = edit()
    (path / name).unlink()
    os.mkfifo(path / name)
    if name == "sweep.json":
        with pytest.raises(RecordError, match="must be a regular file"):
            keepbest.open_sweep(path)
    else:
        with pytest.warns(UserWarning, match="must be a regular file"):
            assert keepbest.open_sweep(path).table()["status"][0] == "unreadable"


@pytest.mark.parametrize(("name", "largest"), [("sweep.json", "LARGEST_SWEEP"), ("0/run.json", "LARGEST_RECORD")])
def test_a_huge_record_is_not_read(edit, name, largest):
    path = edit()
    size = getattr(run_files, largest) + 1
    os.truncate(path / name, size)
    if name == "sweep.json":
        with pytest.raises(RecordError, match=f"must have at most {size - 1} bytes"):
            keepbest.open_sweep(path)
    else:
        with pytest.warns(UserWarning, match=f"must have at most {size - 1} bytes"):
            assert keepbest.open_sweep(path).table()["status"][0] == "unreadable"


TYPES = {
    "an override": {"overrides": [7]},
    "overrides": {"overrides": "seed=1"},
    "a number": {"number": "0"},
    "a directory": {"directory": None},
    "a status": {"status": "done"},
}


@pytest.mark.parametrize("changes", TYPES.values(), ids=TYPES)
def test_wrong_types_are_refused_by_name(edit, changes):
    with pytest.raises(RecordError, match=rf"sweep\.jobs\[0\]\.{next(iter(changes))}"):
        keepbest.open_sweep(edit(**changes))


def test_a_sweep_that_was_edited_opens_with_trust_only(edit):
    path = edit()
    text = (path / "sweep.json").read_text()
    (path / "sweep.json").write_text(text.replace("seed=1", "seed=9"))
    with pytest.raises(KeepbestError, match=r"keepbest\.open_sweep\(\.\.\., trust=True\)"):
        keepbest.open_sweep(path)
    assert keepbest.open_sweep(path, trust=True).table()["seed"].tolist() == [9, 2]


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        assert {name for name, _ in attributes} <= {"style"}


def test_hostile_text_is_shown_and_not_obeyed(make_sweep, fake_job):
    """As HTML it would be run, as a formula it would be an error, as control characters it would change a terminal."""
    record = {
        "id": HOSTILE, "objective": Objective(HOSTILE, "min"), "error": Failure(HOSTILE, HOSTILE, HOSTILE),
        "stopping": Stopping({}, 8, 3, HOSTILE, HOSTILE),
    }  # fmt: skip
    jobs = [
        fake_job([f"{HOSTILE}={HOSTILE}{number % 2}", f"_b$={number}", f"fixed{HOSTILE}={HOSTILE}"], record=record)
        for number in range(3)
    ]
    sweep = keepbest.open_sweep(make_sweep(jobs, id=HOSTILE))
    for html in (sweep._repr_html_(), sweep.runs[0]._repr_html_()):
        parser = _Tags()
        parser.feed(html)
        assert parser.seen <= {"div", "b", "table", "thead", "tbody", "tr", "td", "th"}
        assert "&lt;script&gt;" in html
        assert html.isprintable()
    table = sweep.table()
    name = table.columns[0]
    assert all(line.isprintable() for line in [repr(sweep), *table.drop(columns="path").to_string().split("\n")])
    for ask in (name, HOSTILE):
        assert sweep.heatmap(ask, "_b$")._repr_png_().startswith(b"\x89PNG")
    assert len(sweep.table(aggregate="_b$")) == 2


def test_hostile_metrics_draw_no_formula(make_sweep, fake_job):
    jobs = [fake_job([f"{HOSTILE}={n}{HOSTILE}"], values=[1.0, 0.5, float("inf")], trajectory=None) for n in range(9)]
    few, many = keepbest.open_sweep(make_sweep(jobs[:3], "few", id=HOSTILE)), keepbest.open_sweep(make_sweep(jobs))
    for sweep in (few, many):
        assert sweep.curves()._repr_png_().startswith(b"\x89PNG")


def test_metrics_that_were_changed_are_not_drawn(edit):
    path = edit()
    (path / "1" / "metrics.csv").write_text("epoch,step,val_loss\n0,1,0.1\n")
    with pytest.raises(KeepbestError, match="a table of metrics must have the sha256"):
        keepbest.open_sweep(path).curves()


def test_a_table_that_would_fill_the_memory_is_refused(make_sweep, fake_job, monkeypatch):
    monkeypatch.setattr(sweep_table, "_MOST_CELLS", 100)
    sweep = keepbest.open_sweep(make_sweep([fake_job([f"key{n}=1"]) for n in range(11)]))
    with pytest.raises(RecordError, match="at most 100 cells, this sweep has 11 jobs with overrides of 11 keys"):
        sweep.table()
