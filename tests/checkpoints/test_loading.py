"""A checkpoint is compared with its hash, and read without executing anything that it holds."""

from __future__ import annotations

import hashlib
import pickle
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.checkpoints.hashing import require_sha256, sha256_of
from keepbest.checkpoints.loading import read_checkpoint
from keepbest.errors import IntegrityError

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def saved(tmp_path: Path, checkpoint: Make) -> Path:
    path = tmp_path / "best.ckpt"
    DurableCheckpointIO().save_checkpoint(checkpoint(1000), path)
    return path


class Payload:
    """Touches a file when it is unpickled the unsafe way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_sound_checkpoint_is_loaded(saved: Path) -> None:
    content = read_checkpoint(saved, sha256_of(saved))
    assert torch.equal(content["state_dict"]["layer.weight"], torch.arange(1000.0))
    assert content["epoch"] == 1


@pytest.mark.parametrize("place", [0, 0.5, -1], ids=["first", "middle", "last"])
def test_a_changed_byte_is_refused_with_both_hashes(saved: Path, place: float) -> None:
    recorded = sha256_of(saved)
    content = bytearray(saved.read_bytes())
    content[int(place * len(content)) if place > 0 else int(place)] ^= 1
    saved.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    message = (
        f"a checkpoint must have the sha256 it was recorded with: .*best.ckpt was recorded as {recorded}, is {found}"
    )
    with pytest.raises(IntegrityError, match=message):
        read_checkpoint(saved, recorded)
    with pytest.raises(IntegrityError, match=message):
        require_sha256(saved, recorded)


def test_the_hash_comes_before_the_parsing(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    path.write_bytes(b"whatever")
    with pytest.raises(IntegrityError, match="was recorded as 0000"):
        read_checkpoint(path, "0000")


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("right_hash", [True, False], ids=["with its hash", "without a hash"])
def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path, new_format: bool, right_hash: bool) -> None:
    path, executed = tmp_path / "evil.ckpt", tmp_path / "executed"
    content = {"state_dict": {}, "hyper_parameters": Payload(executed)}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(IntegrityError, match="must hold only tensors and plain containers"):
        read_checkpoint(path, sha256_of(path) if right_hash else None)
    assert not executed.exists()
    torch.load(path, weights_only=False)
    assert executed.exists(), "the payload does nothing: the test proves nothing"


class Hidden:
    """Names what no safe load provides in a way that torch's list of such names does not see."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return eval, ("1",)


ADVICE = re.compile("weights_only|trust|docs|arbitrary code|issue", re.IGNORECASE)
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a global": (lambda path: torch.save({"x": Payload(path)}, path), r"it asks for '\w+\.getattr'|'pathlib"),
    "by another protocol": (lambda path: torch.save({"x": Hidden()}, path, pickle_protocol=4), "something else"),
    "in the old format": (
        lambda path: torch.save({"x": Hidden()}, path, _use_new_zipfile_serialization=False), "something else",
    ),
    "a bare pickle": (lambda path: path.write_bytes(pickle.dumps(Hidden())), "something else"),
    "a script": (lambda path: torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path), "something else"),
}  # fmt: skip


@pytest.mark.parametrize(("write", "message"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_names_what_was_asked_for_and_never_advises_to_load_it_unsafely(
    tmp_path: Path, write: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "evil.ckpt"
    write(path)
    loads = (
        lambda: read_checkpoint(path, None),
        lambda: DurableCheckpointIO().load_checkpoint(path, weights_only=True),
    )
    for load in loads:
        with pytest.raises(IntegrityError, match=rf"evil\.ckpt does not load: .*({message})") as refused:
            load()
        shown = "".join(traceback.format_exception(refused.value)).partition("IntegrityError: ")[2]
        assert not ADVICE.search(shown)
        assert refused.value.__cause__ is None, "a traceback would show torch's words"


def test_an_unsafe_load_that_the_user_asks_for_is_lightnings_own(tmp_path: Path) -> None:
    path = tmp_path / "own.ckpt"
    torch.save({"x": Hidden()}, path)
    assert DurableCheckpointIO().load_checkpoint(path, weights_only=False) == {"x": 1}


@pytest.mark.parametrize("noun", ["checkpoint", "config"])
def test_a_recorded_file_that_is_not_there_is_told_with_the_remedy(tmp_path: Path, noun: str) -> None:
    message = f"a recorded {noun} must be there: .*gone was recorded with the sha256 00, .* take it from a backup"
    with pytest.raises(IntegrityError, match=message):
        require_sha256(tmp_path / "gone", "00", noun)
    with pytest.raises(IntegrityError, match=f"a recorded {noun} must be a file that can be read, .*: Is a directory"):
        require_sha256(tmp_path, "00", noun)


@pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.9])
def test_a_truncated_checkpoint_is_refused(saved: Path, part: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(part * len(content))])
    with pytest.raises(
        IntegrityError, match=r"must hold only tensors and plain containers, .*best\.ckpt does not load: "
    ):
        read_checkpoint(saved, None)


NO_STATE_DICT = {
    "a mapping without one": {"epoch": 1},
    "weights alone": {"layer.weight": torch.ones(2)},
    "a state_dict of another kind": {"state_dict": [torch.ones(2)]},
    "a tensor": torch.ones(2),
    "a list": [1, 2],
}


@pytest.mark.parametrize("content", NO_STATE_DICT.values(), ids=NO_STATE_DICT)
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "best.ckpt"
    torch.save(content, path)
    with pytest.raises(IntegrityError, match=r"a checkpoint must hold a 'state_dict', .*best\.ckpt does not\."):
        read_checkpoint(path, None)


@settings(deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
@example(b"X\x01\x00\x00\x00\xff")
@example(b"h\x01.")
@example(b"e")
@example(b"G\x00")
def test_bytes_that_are_no_checkpoint_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="must hold"):
        read_checkpoint(path, None)
