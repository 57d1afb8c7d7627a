"""Damage: whatever happened to a checkpoint or a record, it is refused; and what is whole opens wherever it lies."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import keepbest
from keepbest.errors import IntegrityError, RecordError
from keepbest.records.store import read_record

FLIPS, HOLES, CUTS = 300, 100, 100
FILES = ("checkpoints/best.ckpt", "run.json")


@pytest.fixture
def with_config(copied: Path, edit_record: Any) -> Path:
    """A run whose record has the hash of its config, as every one has."""
    edit_record(copied, config_sha256=hashlib.sha256((copied / "config.yaml").read_bytes()).hexdigest())
    return copied


@pytest.fixture
def unfinished(with_config: Path, edit_record: Any) -> Path:
    """A run that was interrupted when all was trained and nothing tested."""
    edit_record(with_config, status="interrupted", verified=None, test=None)
    return with_config


def flipped(whole: bytes, chance: random.Random) -> bytes:
    """One bit is another."""
    at = chance.randrange(len(whole))
    return whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]


def holed(whole: bytes, chance: random.Random) -> bytes:
    """A block is zeros, as a file system leaves one that it never wrote; it holds something that was not zero."""
    while True:
        length = chance.randint(1, min(4096, len(whole)))
        at = chance.randrange(len(whole) - length + 1)
        damaged = whole[:at] + bytes(length) + whole[at + length :]
        if damaged != whole:
            return damaged


def cut(whole: bytes, chance: random.Random) -> bytes:
    """The end is missing; all of it, some of the time."""
    return whole[: chance.randrange(len(whole)) if chance.random() < 0.9 else 0]


DAMAGES: dict[str, tuple[Callable[[bytes, random.Random], bytes], int]] = {
    "flips": (flipped, FLIPS),
    "holes": (holed, HOLES),
    "truncations": (cut, CUTS),
}


@pytest.mark.parametrize("name", FILES, ids=["checkpoint", "record"])
@pytest.mark.parametrize(("damage", "times"), DAMAGES.values(), ids=DAMAGES)
def test_all_damage_is_refused(
    copied: Path, name: str, damage: Callable[[bytes, random.Random], bytes], times: int
) -> None:
    path, chance = copied / name, random.Random(0)
    whole = path.read_bytes()
    for _ in range(times):
        path.write_bytes(damage(whole, chance))
        with pytest.raises((IntegrityError, RecordError), match=r"sha256|checksum"):
            keepbest.open_run(copied).load_model()
    path.write_bytes(whole)
    keepbest.open_run(copied).load_model()


@pytest.mark.parametrize(("damage", "times"), DAMAGES.values(), ids=DAMAGES)
def test_all_damage_of_the_config_is_refused_when_it_is_opened(
    with_config: Path, damage: Callable[[bytes, random.Random], bytes], times: int
) -> None:
    path, chance = with_config / "config.yaml", random.Random(0)
    whole = path.read_bytes()
    for _ in range(times):
        path.write_bytes(damage(whole, chance))
        with pytest.raises(IntegrityError, match="a config must have the sha256 it was recorded with"):
            _ = keepbest.open_run(with_config).config
    path.write_bytes(whole)
    assert keepbest.open_run(with_config).config


@pytest.mark.parametrize(
    ("name", "noun"), [("checkpoints/last.ckpt", "checkpoint"), ("config.yaml", "config")], ids=["last", "config"]
)
@pytest.mark.parametrize(("damage", "times"), DAMAGES.values(), ids=DAMAGES)
def test_all_damage_is_refused_when_the_run_goes_on(
    unfinished: Path, name: str, noun: str, damage: Callable[[bytes, random.Random], bytes], times: int
) -> None:
    """Each damage is shown to what looks at the files before anything is trained, and the last one to a whole job."""
    from keepbest.training.execute import execute

    path, chance, refusal = unfinished / name, random.Random(0), f"a {noun} must have the sha256 it was recorded with"
    whole = path.read_bytes()
    for _ in range(times):
        path.write_bytes(damage(whole, chance))
        with pytest.raises(IntegrityError, match=refusal):
            look(unfinished)
    with pytest.raises(IntegrityError, match=refusal):
        execute(unfinished)
    path.write_bytes(whole)
    assert execute(unfinished).status.value == "completed"


def look(run_dir: Path) -> None:
    from keepbest.training.job import read_job_config
    from keepbest.training.resume_point import find_resume_point

    record = read_record(run_dir)
    assert read_job_config(run_dir, record)
    assert record.last
    find_resume_point(run_dir, record, {record.last.path: record.last.sha256}, settles=True)


def test_a_config_that_was_edited_is_refused_by_the_commands_too(unfinished: Path, keepbest: Any) -> None:
    """Also where the edit decides how the job is launched, and where the change would be allowed as an override."""
    path = unfinished / "config.yaml"
    whole = path.read_text()
    for old, new in {"devices: 1": "devices: 2", "max_epochs: 2": "max_epochs: 3"}.items():
        assert old in whole
        path.write_text(whole.replace(old, new))
        for more in [], ["trainer.max_epochs=4"]:
            done = keepbest(["resume", str(unfinished), *more], unfinished.parent)
            assert done.returncode == 1
            assert "a config must have the sha256 it was recorded with" in done.stderr
            assert "Traceback" not in done.stderr


def test_a_damaged_checkpoint_is_refused_with_both_hashes(copied: Path) -> None:
    path = copied / "checkpoints" / "best.ckpt"
    recorded = json.loads((copied / "run.json").read_text())["best_sha256"]
    whole, chance = path.read_bytes(), random.Random(1)
    for damage in (flipped, holed, cut):
        path.write_bytes(damage(whole, chance))
        with pytest.raises(IntegrityError, match=rf"best\.ckpt was recorded as {recorded}, is [0-9a-f]{{64}}"):
            _ = keepbest.open_run(copied).best_model_path


def test_what_is_appended_is_refused_too(copied: Path) -> None:
    for name, message in zip(FILES, ("was recorded with [0-9]+ bytes, has", "must end with its checksum"), strict=True):
        path = copied / name
        whole = path.read_bytes()
        path.write_bytes(whole + b"\n")
        with pytest.raises((IntegrityError, RecordError), match=message):
            keepbest.open_run(copied).load_model()
        path.write_bytes(whole)


def test_a_best_that_a_crash_kept_under_its_temporary_name_is_found(copied: Path, honest_run: Path) -> None:
    """Its hash is recorded before it takes its place, where the best before it may lie: larger, smaller, or none."""
    best, partial = copied / "checkpoints" / "best.ckpt", copied / "checkpoints" / ".best.ckpt.0123abcd.partial"
    shutil.copy(best, partial)
    for before in (best.read_bytes() * 2, b"short"):
        best.write_bytes(before)
        opens(copied, honest_run)
    best.unlink()
    opens(copied, honest_run)
    partial.write_bytes(b"short")
    with pytest.raises(IntegrityError, match="a recorded checkpoint must be there"):
        keepbest.open_run(copied).load_model()


# The whole ones.


def opens(directory: Path, kept: Path) -> None:
    import torch

    run = keepbest.open_run(directory)
    weights = torch.load(kept / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    loaded = run.load_model().state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    assert run.datamodule().num_outputs == 10
    assert len(run.metrics) == 2


@pytest.mark.parametrize(
    "name", ["renamed", "with spaces in it", "größe 価値 🙂", "a=1,b='c'", "${oc.env:HOME}", "run.json"]
)
def test_a_copy_opens_under_any_name(honest_run: Path, tmp_path: Path, name: str) -> None:
    opens(shutil.copytree(honest_run, tmp_path / name), honest_run)


def test_a_moved_run_opens_by_a_relative_path_a_link_and_any_file_in_it(
    copied: Path, honest_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "far" / "away"
    moved.parent.mkdir()
    copied.rename(moved)
    (tmp_path / "link").symlink_to(moved)
    monkeypatch.chdir(tmp_path)
    for path in (Path("far/away"), Path("link"), Path("far/away/metrics.csv"), Path("link/run.json")):
        opens(path, honest_run)


def test_a_link_inside_the_run_is_followed(copied: Path, honest_run: Path) -> None:
    (copied / "checkpoints" / "best.ckpt").rename(copied / "checkpoints" / "epoch=1.ckpt")
    (copied / "checkpoints" / "best.ckpt").symlink_to("epoch=1.ckpt")
    opens(copied, honest_run)


@pytest.fixture
def only_readable(copied: Path) -> Iterator[Path]:
    """A run that nobody may write to; root may anyway, so there the test shows only that nothing breaks."""
    places = [copied, *copied.rglob("*")]
    modes = {place: stat.S_IMODE(place.stat().st_mode) for place in places}
    for place in reversed(places):
        place.chmod(modes[place] & ~0o222)
    yield copied
    for place in places:
        place.chmod(modes[place])


def test_a_run_opens_where_nothing_can_be_written(only_readable: Path, honest_run: Path) -> None:
    assert not only_readable.stat().st_mode & 0o222
    opens(only_readable, honest_run)


@pytest.mark.parametrize("position", range(0, 1000, 37))
def test_a_config_that_is_not_the_recorded_one_makes_no_model(with_config: Path, position: int) -> None:
    path = with_config / "config.yaml"
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="a config must have the sha256 it was recorded with"):
        keepbest.open_run(with_config).load_model()
