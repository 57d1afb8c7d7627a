"""run.json on disk: readable at any time, whatever happens to who writes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from keepbest.errors import IntegrityError, RecordError
from keepbest.records.run_record import Failure, RunRecord
from keepbest.records.store import RUN_FILE, read_record, write_record

NamesIn = Callable[[Path], list[str]]


def test_what_was_written_is_what_is_read(tmp_path: Path, complete: RunRecord, names_in: NamesIn) -> None:
    write_record(tmp_path, complete)
    assert read_record(tmp_path) == complete
    assert names_in(tmp_path) == [RUN_FILE]


def test_the_file_is_for_people_too(tmp_path: Path, complete: RunRecord) -> None:
    write_record(tmp_path, complete)
    text = (tmp_path / RUN_FILE).read_text(encoding="utf-8")
    assert text.startswith('{\n  "schema_version": 1,\n  "id": ')
    assert text.endswith("}\n")


def test_text_beyond_ascii_and_broken_text_survive(tmp_path: Path, pending: RunRecord) -> None:
    record = dataclasses.replace(pending, error=Failure("E", "größer als ∞ \x00 \udcff", "\u2028"))
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record


UNSEALED: dict[str, bytes] = {
    "empty": b"",
    "cut off": b'{"schema_version": 1, "id": "a',
    "not text": b"\xff\xfe\x00",
    "a list": b"[]",
    "another schema": b'{"schema_version": 7}',
    "checksum of another form": b'{\n  "id": "a",\n  "checksum": "' + 64 * b"A" + b'"\n}\n',
}


@pytest.mark.parametrize("content", UNSEALED.values(), ids=UNSEALED)
def test_what_does_not_end_with_a_checksum_is_not_even_parsed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RUN_FILE).write_bytes(content)
    with pytest.raises(RecordError, match=r"a record must end with its checksum, .*run\.json does not: .* trust=True"):
        read_record(tmp_path)


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"run\.json cannot be read as JSON: Expecting value"),
    "cut off": (b'{"schema_version": 1, "id": "a', r"run\.json cannot be read as JSON: Unterminated string"),
    "not text": (b"\xff\xfe\x00", r"run\.json cannot be read as JSON: 'utf-8' codec"),
    "a list": (b"[]", r"run\.json must hold a mapping, got list\."),
    "null": (b"null", r"run\.json must hold a mapping, got NoneType\."),
    "another schema": (b'{"schema_version": 7}', r"schema_version must be 1, got 7"),
    "deep": (b"[" * 100_000, r"run\.json cannot be read as JSON: .*recursion"),
    "deeper than a record": (b"[" * 50 + b"]" * 50, r"run\.json cannot be read as JSON: it is nested deeper than 32"),
    "a number of many digits": (b'{"schema_version": ' + b"1" * 5000 + b"}", r"cannot be read as JSON|schema_version"),
    "a long text": (b'{"schema_version": "' + b"x" * 1_000_000 + b'"}', r"run\.json is far from the schema: .{,600}$"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_record_is_refused_also_unverified(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / RUN_FILE).write_bytes(content)
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path, verify=False)


def test_the_checksum_is_that_of_the_file_without_it(tmp_path: Path, complete: RunRecord) -> None:
    """Anybody can compute it; the record itself does not hold it."""
    write_record(tmp_path, complete)
    data = json.loads((tmp_path / RUN_FILE).read_bytes())
    assert list(data)[-1] == "checksum"
    assert data.pop("checksum") == hashlib.sha256((json.dumps(data, indent=2) + "\n").encode()).hexdigest()
    assert data == complete.as_dict()


def test_a_flipped_bit_is_refused_in_every_byte(tmp_path: Path, pending: RunRecord) -> None:
    """Also where JSON would not tell: `1e-5` and `1E-5` are one number to it."""
    record = dataclasses.replace(pending, best_model_score=1e-5)
    write_record(tmp_path, record)
    path = tmp_path / RUN_FILE
    whole = path.read_bytes()
    assert b"1e-05" in whole
    for at in range(len(whole)):
        for bit in (5, at % 8):  # the fifth is that between small and capital letters
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            with pytest.raises((IntegrityError, RecordError), match="checksum"):
                read_record(tmp_path)


def test_a_changed_record_is_refused_with_both_checksums(tmp_path: Path, complete: RunRecord) -> None:
    write_record(tmp_path, complete)
    path = tmp_path / RUN_FILE
    recorded = json.loads(path.read_bytes())["checksum"]
    path.write_text(path.read_text().replace("val_acc", "val_acd"))
    with pytest.raises(IntegrityError, match=f"was written with {recorded}, has [0-9a-f]{{64}}.*trust=True"):
        read_record(tmp_path)
    assert read_record(tmp_path, verify=False).objective.monitor == "val_acd"


def test_a_directory_without_a_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=f"a run directory must hold run.json, {re.escape(repr(str(tmp_path)))} does"):
        read_record(tmp_path)
    with pytest.raises(RecordError, match=r"nowhere' does not\."):
        read_record(tmp_path / "nowhere")


def test_a_directory_in_the_records_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).mkdir()
    with pytest.raises(RecordError, match=r"run\.json cannot be read as JSON: .*Is a directory"):
        read_record(tmp_path)


def test_a_disk_that_refuses_leaves_the_old_record(
    tmp_path: Path,
    complete: RunRecord,
    names_in: NamesIn,
    limited_file_size: Callable[[int], AbstractContextManager[None]],
) -> None:
    write_record(tmp_path, complete)
    longer = dataclasses.replace(complete, error=Failure("E", "x" * 10_000, ""))
    with limited_file_size(4096), pytest.raises(OSError, match="File too large"):
        write_record(tmp_path, longer)
    assert read_record(tmp_path) == complete
    assert names_in(tmp_path) == [RUN_FILE]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002], ids=oct)
def test_permissions_follow_the_umask(tmp_path: Path, pending: RunRecord, umask: int) -> None:
    """As they do for any file that a program writes; a temporary file's own are for its user alone."""
    before = os.umask(umask)
    try:
        write_record(tmp_path, pending)
        (tmp_path / "plain").touch()
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (RUN_FILE, "plain")}
    assert modes[RUN_FILE] == modes["plain"]


REWRITE_FOR_EVER = """
import dataclasses, itertools, sys
from pathlib import Path
from keepbest.records.run_record import Failure
from keepbest.records.store import read_record, write_record

run_dir = Path(sys.argv[1])
record = read_record(run_dir)
for number in itertools.count():
    error = Failure("E", str(number), "x" * 1000 * (number % 300))
    write_record(run_dir, dataclasses.replace(record, error=error))
    if number == 2:
        print("writing", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_kill_at_any_moment_leaves_a_whole_record(tmp_path: Path, pending: RunRecord) -> None:
    """A real process, killed 20 times while it does nothing but rewrite the record."""
    write_record(tmp_path, pending)
    chance = random.Random(0)
    interrupted = 0
    for _ in range(20):
        command = [sys.executable, "-c", REWRITE_FOR_EVER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            time.sleep(chance.uniform(0, 0.03))
            process.kill()
        assert process.returncode == -signal.SIGKILL
        error = read_record(tmp_path).error
        assert error is not None
        assert len(error.traceback) == 1000 * (int(error.message) % 300)
        left = [path for path in tmp_path.iterdir() if path.name != RUN_FILE]
        assert all(path.name.startswith(f".{RUN_FILE}.") and path.suffix == ".partial" for path in left)
        interrupted += len(left)
        for path in left:
            path.unlink()
    assert interrupted > 0, "no kill came in the middle of a write: the test proves nothing"


def test_an_evaluation_is_added_and_nothing_else_changes(tmp_path: Path, complete: RunRecord) -> None:
    from keepbest.records.store import add_evaluation

    write_record(tmp_path, complete)
    before = (tmp_path / "run.json").read_text()
    add_evaluation(tmp_path, complete.evaluations[0])
    assert read_record(tmp_path).evaluations == [*complete.evaluations, complete.evaluations[0]]
    assert (tmp_path / "run.json").read_text().startswith(before[: before.index("\n  ],\n")])
    (tmp_path / "run.json").write_text(before.replace("0.975", "0.976"))
    with pytest.raises(IntegrityError, match="must have the checksum"):
        add_evaluation(tmp_path, complete.evaluations[0])
