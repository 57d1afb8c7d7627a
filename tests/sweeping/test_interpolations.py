"""What an interpolation may read is known by its text; where it is not, it may read anything."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from omegaconf import OmegaConf

from keepbest.sweeping.interpolations import is_fixed, leads_elsewhere, may_read

KEY = "callbacks.early_stopping.patience"

READS = {
    "the value": "${callbacks.early_stopping.patience}",
    "with spaces": "${ callbacks.early_stopping.patience }",
    "among other text": "p${callbacks.early_stopping.patience}-${seed}",
    "with brackets": "${callbacks[early_stopping].patience}",
    "with brackets only": "${[callbacks][early_stopping][patience]}",
    "the node": "${callbacks.early_stopping}",
    "all callbacks": "${callbacks}",
    "a part of the value": "${callbacks.early_stopping.patience.deeper}",
    "relative": "${.patience}",
    "relative, from further": "${..early_stopping.patience}",
    "nested": "${callbacks.${name}.patience}",
    "nested at its end": "${callbacks.early_stopping.${name}}",
    "a resolver of the user's": "${double:1}",
    "a resolver with it inside": "${double:${callbacks.early_stopping.patience}}",
    "a resolver that is like a fixed one": "${nowhere:1}",
    "a fixed resolver with it inside": "${oc.env:HOME,${callbacks.early_stopping.patience}}",
    "a fixed resolver with something inside": "${now:${format}}",
    "a resolver that selects": "${oc.select:callbacks.early_stopping.patience}",
    "Hydra's": "${hydra:job.num}",
    "braces in quotes": '${double:"}"}',
    "what is no interpolation at all": "${",
    "a key of unusual signs": "${some key}",
}
READS_NOT = {
    "no interpolation": "callbacks.early_stopping.patience",
    "another value": "${seed}",
    "another setting": "${callbacks.early_stopping.min_delta}",
    "a longer name": "${callbacks.early_stopping.patience_of_others}",
    "a shorter name": "${call}",
    "the time": "${now:%Y-%m-%d}",
    "the environment": "${oc.env:HOME}",
    "the environment, or something": "${oc.env:HOME,nowhere}",
    "Python": "${python_version:}",
    "the launch": "${launch_id:}",
}


@pytest.mark.parametrize("text", READS.values(), ids=READS)
def test_it_may_read_the_value(text):
    assert may_read(text, [KEY])


@pytest.mark.parametrize("text", READS_NOT.values(), ids=READS_NOT)
def test_it_cannot_read_the_value(text):
    assert not may_read(text, [KEY])


def test_every_text_of_a_config_is_looked_at_wherever_it_stands():
    reads = "${callbacks.early_stopping.patience}"
    for place in ({"a": {"b": reads}}, {"a": [1, [2, {"b": reads}]]}, {"a": reads}):
        assert may_read(OmegaConf.create(place), [KEY])
    assert not may_read(OmegaConf.create({"a": {"b": ["${seed}", 1, None]}, "seed": 1}), [KEY])


def test_without_a_key_only_what_cannot_be_told_may_read():
    assert may_read("${hydra:job.num}", [])
    assert not may_read("${callbacks.early_stopping.patience}", [])


FIXED = ["", "outputs", "${now:%H}", "a/${now:%H}_${launch_id:}", "${oc.env:HOME}/x"]
NOT_FIXED = ["${seed}", "${hydra.job.num}", "${hydra:job.num}", "${now:${x}}", "${double:1}"]


@pytest.mark.parametrize("text", FIXED)
def test_a_text_that_is_the_same_in_all_jobs(text):
    assert is_fixed(text)
    assert is_fixed(OmegaConf.create({"A": text}))


@pytest.mark.parametrize("text", NOT_FIXED)
def test_a_text_that_may_differ_from_job_to_job(text):
    assert not is_fixed(text)
    assert not is_fixed(OmegaConf.create({"A": text}))


@dataclass
class Node:
    patience: int = 1


@dataclass
class Tree:
    usual: Node = field(default_factory=Node)
    borrowed: Node = "${usual}"  # type: ignore[assignment]
    nothing: Node | None = None
    missing: Node = "???"  # type: ignore[assignment]


TREE = {
    "plain": {"a": {"b": 1}},
    "text": "${plain}",
    "several": ["${plain}"],
    "none": None,
    "gone": "???",
    "lost": "${x}",
}
PATHS = {
    "plain.a.b": False, "plain.a": False, "plain": False, "plain.a.c": False, "no.such.key": False, "none.a": False,
    "gone.a": False, "text": False, "callbacks/early_stopping": False,
    "text.a": True, "text.a.b": True, "several.0": False, "several.0.a": True, "lost.a": True,
    "typed.usual.patience": False, "typed.borrowed.patience": True, "typed.borrowed": False,
    "typed.nothing.patience": False, "typed.missing.patience": False,
}  # fmt: skip


@pytest.mark.parametrize(("path", "leads"), PATHS.items(), ids=PATHS)
def test_a_path_through_an_interpolation_leads_elsewhere(path, leads):
    config = OmegaConf.merge(TREE, {"typed": OmegaConf.structured(Tree)})
    OmegaConf.set_struct(config, True)
    assert leads_elsewhere(config, path) is leads
