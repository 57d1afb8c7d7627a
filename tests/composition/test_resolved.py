"""The resolved config: no interpolation is left, and what is written is what is read, text for text."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from keepbest.composition.resolved import CONFIG_FILE, read_config, resolve, write_config
from keepbest.errors import ConfigError, RecordError

RESOLVED: dict[str, tuple[str, dict[str, Any]]] = {
    "interpolation": ("{a: 1, b: '${a}', c: {d: '${..b}'}}", {"a": 1, "b": 1, "c": {"d": 1}}),
    "in text": ("{a: 1, b: 'x${a}y'}", {"a": 1, "b": "x1y"}),
    "of a mapping": ("{a: {b: 1}, c: '${a}'}", {"a": {"b": 1}, "c": {"b": 1}}),
    "of a list": ("{a: [1, 2], b: '${a.1}'}", {"a": [1, 2], "b": 2}),
    "escaped": (r"{a: '\${b}'}", {"a": "${b}"}),
    "null and empty": ("{a: null, b: {}, c: []}", {"a": None, "b": {}, "c": []}),
}


@pytest.mark.parametrize(("text", "plain"), RESOLVED.values(), ids=RESOLVED)
def test_interpolations_are_replaced(text: str, plain: dict[str, Any]) -> None:
    found = resolve(OmegaConf.create(text))
    assert found == plain
    assert type(found) is dict


UNRESOLVABLE: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"a": "???"}, r"^a: a value must be given\. Add a=\.\.\. to the command\.$"),
    "missing, deep": (
        {"a": {"b": [1, {"c": "???"}]}},
        r"^a\.b\[1\]\.c: a value must be given\. Add a\.b\[1\]\.c=\.\.\.",
    ),
    "leads nowhere": ({"a": {"b": "${c}"}}, r"^a\.b: its value cannot be resolved: Interpolation key 'c' not found\.$"),
    "of a missing one": ({"a": {"b": "???"}, "c": "${a.b}"}, r"^(a\.b: a value must be given|c: its value cannot be)"),
    "of itself": ({"a": "${a}"}, r"^a: its value cannot be resolved: Recursive interpolation"),
    "of each other": ({"a": "${b}", "b": "${a}"}, r"^a: its value cannot be resolved: Recursive interpolation"),
    "unknown resolver": (
        {"a": "${nosuch:1}"},
        r"^a: its value cannot be resolved: Unsupported interpolation type nosuch",
    ),
    "unset variable": ({"a": "${oc.env:KEEPBEST_NO_SUCH}"}, r"^a: its value cannot be resolved: .*KEEPBEST_NO_SUCH"),
}


@pytest.mark.parametrize(("config", "message"), UNRESOLVABLE.values(), ids=UNRESOLVABLE)
def test_what_has_no_value_is_told_by_its_key(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(OmegaConf.create(config))


def round_trip(config: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        write_config(Path(folder), config)
        return read_config(Path(folder))


# What YAML or OmegaConf could take for something else.
TRICKY = [
    "1", "1.0", "1e-05", "1e5", "1E5", "+1e5", ".5", "5.", "0x1f", "0o17", "0b1", "1_000", "1:30", "190:20:30",
    "true", "True", "yes", "no", "on", "Off", "y", "null", "Null", "~", "", " ", " a ", "nan", ".nan", "inf", "-.inf",
    "2026-11-22", "2026-11-22 10:00:00", "=", "<<", "???", "${a}", "x${a.b}y", "${oc.env:HOME}", "${now:%Y}", "\\${a}",
    "{a: 1}", "[1]", "- a", "a: b", "a #b", "#a", "&a", "*a", "!a", "!!python/name:os.system", "%a", "@a", "`a`", "|",
    ">", "'", '"', "'a'", "\\", "a\\", "$", "---", "...", "a\nb", "a\r\nb", "\t", "\x00", "\x7f", "\u2028", "\ufeff",
    "größe", "価値", "🙂", "e\u0301",
]  # fmt: skip
FLOATS = [
    1e-05,
    1e-8,
    3e-4,
    1e5,
    1e16,
    1e300,
    5e-324,
    0.1 + 0.2,
    -0.0,
    100.0,
    float("inf"),
    float("-inf"),
    float("nan"),
]


@pytest.mark.parametrize("text", TRICKY, ids=repr)
def test_text_stays_text(text: str) -> None:
    config = {"a": text, "b": {"c": [text, text]}, text or "empty": 1}
    assert round_trip(config) == config


@pytest.mark.parametrize("number", FLOATS, ids=repr)
def test_a_float_keeps_its_bits(number: float) -> None:
    found = round_trip({"a": number})["a"]
    assert (type(found), found.hex()) == (float, number.hex())


SOUND = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="$\x85_"), max_size=10)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(TRICKY) | SOUND
CONFIGS = st.dictionaries(
    SOUND,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SOUND, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


def exact(value: Any) -> Any:
    """Return what tells apart what Python holds for equal: 1, 1.0 and True; 0.0 and -0.0."""
    if isinstance(value, dict):
        return [(key, exact(item)) for key, item in value.items()]
    return [exact(item) for item in value] if isinstance(value, list) else (type(value), repr(value))


@given(CONFIGS)
@settings(deadline=None)
def test_a_config_survives_its_file_unchanged(config: dict[str, Any]) -> None:
    assert exact(round_trip(config)) == exact(config)


@pytest.mark.parametrize("text", ["${", "a ${b} ${", "${a:", "\x85", "+1._E0"], ids=repr)
def test_text_that_omegaconf_stumbles_on_stays_text_too(text: str) -> None:
    r"""`\${` in a config resolves to the first of them."""
    assert round_trip({"a": text}) == {"a": text}


def test_reading_interpolates_nothing(tmp_path: Path) -> None:
    """Whatever a file says: reading somebody's config must not look at this machine's environment."""
    (tmp_path / CONFIG_FILE).write_text("a: 1\nb: ${a}\nc: ${oc.env:HOME}\nd: ???\n", encoding="utf-8")
    assert read_config(tmp_path) == {"a": 1, "b": "${a}", "c": "${oc.env:HOME}", "d": "???"}


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "not yaml": (b"a: [", r"config\.yaml cannot be read as a config: while parsing"),
    "not text": (b"\xff\xfe\x00", r"config\.yaml cannot be read as a config: 'utf-8' codec"),
    "a list": (b"- 1", r"config\.yaml must hold a mapping\."),
    "a number": (b"5", r"config\.yaml (cannot be read as a config|must hold a mapping)"),
    "a list that calls itself a mapping": (b"a: !!map [b]", r"cannot be read as a config: it must not call a mapping"),
    "a text that calls itself a mapping": (b"a: !!map bc", r"cannot be read as a config: it must not call a mapping"),
    "a key twice": (b"a: 1\na: 2", r"config\.yaml cannot be read as a config: .*found duplicate key a"),
    "a python object": (
        b"a: !!python/object/apply:os.system ['touch executed']",
        r"config\.yaml cannot be read as a config: could not determine a constructor for the tag",
    ),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_config_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / CONFIG_FILE).write_bytes(content)
    with pytest.raises(RecordError, match=f"(?s){message}"):
        read_config(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CONFIG_FILE], "something in the config was executed"


def test_a_directory_without_a_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"a job directory must hold config\.yaml, '.*nowhere' does not\."):
        read_config(tmp_path / "nowhere")


def test_a_config_that_holds_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).write_text("a: &x [*x]")
    with pytest.raises(RecordError, match=r"config\.yaml cannot be read as a config"):
        read_config(tmp_path)
