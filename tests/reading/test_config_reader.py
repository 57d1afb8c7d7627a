"""Reading many configs quickly gives what reading each with care gives, or is refused as that would be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepbest.checkpoints.hashing import sha256_of
from keepbest.composition.resolved import config_text, read_config
from keepbest.errors import IntegrityError, KeepbestError, RecordError
from keepbest.reading.config_reader import ConfigReader

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
keys = st.text("abc_XYZ09 .", min_size=1, max_size=6) | st.sampled_from(["_target_", "null", "1e3", "yes", "-", "? x"])
nodes = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(keys, nodes, min_size=1, max_size=4))
def test_what_keepbest_writes_is_read_alike(tmp_path_factory, config):
    directory = tmp_path_factory.mktemp("run")
    path = directory / "config.yaml"
    path.write_text(config_text(config), encoding="utf-8")
    assert ConfigReader().read(directory, sha256_of(path)) == read_config(directory) == config


ODD = {
    "aliases": "a: &x [1]\nb: [*x, *x]\n",
    "laughs": "a: &a [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1 or ''}, *a{i - 1 or ''}]\n" for i in range(1, 9)),
    "tags": "a: !!python/object/apply:os.system [true]\n",
    "a date": "a: 2026-11-22\n",
    "a repeated section": "a: 1\nb: 2\na: 3\n",
    "a repeated key": "a:\n  b: 1\n  b: 2\n",
    "merged": "a: {b: 1}\nc:\n  <<: {d: 1}\n",
    "deep flow": "a: " + "[" * 5000 + "]" * 5000 + "\n",
    "deep blocks": "a:\n" + "".join(f"{' ' * i}b:\n" for i in range(1, 3000)),
    "deep lists": "a:\n " + "- " * 5000 + "1\n",
    "a long number": f"a: {'9' * 5000}\n",
    "no mapping": "- 1\n- 2\n",
    "empty": "",
    "two documents": "a: 1\n---\nb: 2\n",
    "a text over lines": 'a: "x\n\n  y"\nb: 2\n',
    "a text that looks like a section": 'a: "x\nseed: 5\n  y"\nb: 2\n',
    "no key": "? [a, b]\n: 1\n",
    "not UTF-8": b"a: \xff\n",
    "a zero byte": "a: \0\n",
    "wrong": "a: [1\nb: 2\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_somebody_else_writes_is_read_or_refused_alike(text, tmp_path):
    (tmp_path / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    results = []
    for read in (read_config, lambda directory: ConfigReader().read(directory, None)):
        try:
            results.append(read(tmp_path))
        except KeepbestError as error:
            results.append(type(error))
    assert results[0] == results[1]


def test_another_config_than_the_recorded_one_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("a: 1\n")
    with pytest.raises(IntegrityError, match="must be the one that was recorded"):
        ConfigReader().read(tmp_path, "0" * 64)
    with pytest.raises(RecordError, match=r"must hold|cannot be read"):
        ConfigReader().read(tmp_path / "nowhere", None)
    (tmp_path / "config.yaml").write_text("a: 1\n" + "#" * (1 << 20))
    with pytest.raises(RecordError, match="at most 1048576 bytes"):
        ConfigReader().read(tmp_path, None)
