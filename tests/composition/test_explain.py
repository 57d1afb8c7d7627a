"""What Hydra refuses is explained with the rule, the value and the nearest right spelling."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from hydra import compose, initialize_config_dir

from keepbest.composition.explain import COMPOSITION_ERRORS, explain_composition
from keepbest.errors import ConfigError

FILES = {
    "train.yaml": """
        defaults: [model: mlp, data: digits, _self_, debug: null]
        seed: 1
        trainer: {max_epochs: 3, lr: 0.1}
        """,
    "model/mlp.yaml": "defaults: [optimizer: adam, _self_]\nwidth: 3\nlayers: {first: 1, second: 2}",
    "model/cnn.yaml": "channels: [1]",
    "model/optimizer/adam.yaml": "_target_: torch.optim.Adam\nlr: 0.1",
    "model/optimizer/sgd.yaml": "_target_: torch.optim.SGD\nlr: 0.1",
    "data/digits.yaml": "batch_size: 1",
    "debug/quick.yaml": "fast: true",
}
GROUPS = "data, debug, model, model/optimizer"


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conf")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))
    return folder


def refused(conf: Path, *overrides: str) -> ConfigError:
    """Compose for real, and return the explanation of what went wrong."""
    with initialize_config_dir(str(conf), version_base="1.3"):
        try:
            compose("train", list(overrides))
        except COMPOSITION_ERRORS as error:
            return explain_composition(error, [conf])
    raise AssertionError("it was composed")


EXPLAINED: dict[str, tuple[str, str]] = {
    # a key
    "key": (
        "model.widht=3",
        "model.widht: model has no key 'widht', it has layers, optimizer, width. Did you mean 'width'?",
    ),
    "key of a section": (
        "trainer.max_epoch=3",
        "trainer.max_epoch: trainer has no key 'max_epoch', it has lr, max_epochs. Did you mean 'max_epochs'?",
    ),
    "key at the top": ("sed=3", "sed: the config has no key 'sed', it has data, "),
    "key, nothing like it": (
        "model.zzz=3",
        "model.zzz: model has no key 'zzz', it has layers, optimizer, width. Write +model.zzz=... to add it.",
    ),
    "deep key": (
        "model.layers.frist=3",
        "model.layers.frist: model.layers has no key 'frist', it has first, second. Did you mean 'first'?",
    ),
    # an option
    "option": ("model=nlp", "model: it must be one of cnn, mlp, got 'nlp'. Did you mean 'mlp'?"),
    "option, nothing like it": ("model=transformer", "model: it must be one of cnn, mlp, got 'transformer'."),
    "option of a nested group": (
        "model/optimizer=adm",
        "model/optimizer: it must be one of adam, sgd, got 'adm'. Did you mean 'adam'?",
    ),
    "option of a group that is off": (
        "debug=quik",
        "debug: it must be one of quick, got 'quik'. Did you mean 'quick'?",
    ),
    # a group
    "group": ("modle=mlp", "modle: the config has no key 'modle', it has data, "),
    "nested group": (
        "model/optimiser=sgd",
        f"model/optimiser: there is no such group; there are {GROUPS}. Did you mean 'model/optimizer'?",
    ),
    "group, nothing like it": ("what/ever=1", f"what/ever: there is no such group; there are {GROUPS}."),
    # syntax
    "bracket": ("model.width=[1,", "an override reads group=option or some.key=value, got 'model.width=[1,'. "),
    "no equals sign": ("model.width", "an override reads group=option or some.key=value, got 'model.width'. "),
    "several values": ("seed=1,2", "Ambiguous value for argument 'seed=1,2'. 1. To use it as a list, use key=[value1"),
    # + and ~
    "added twice": ("+trainer.lr=1", "Could not append to config. An item is already at 'trainer.lr'."),
    "group added twice": ("+model=cnn", "Multiple values for model. To override a value use 'override model: cnn'."),
    "deleted": ("~nothing", "Could not delete from config. 'nothing' does not exist."),
}


@pytest.mark.parametrize(("override", "message"), EXPLAINED.values(), ids=EXPLAINED)
def test_a_wrong_override_is_explained(conf: Path, override: str, message: str) -> None:
    error = refused(conf, override)
    assert str(error).startswith(message)
    assert error.exit_status == 2


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("model.widht=3", "model.width=3"), ("modle=cnn", "model=cnn"), ("model/optimiser=sgd", "model/optimizer=sgd")],
)
def test_a_suggestion_is_something_that_composes(conf: Path, wrong: str, right: str) -> None:
    (suggestion,) = re.findall(r"Did you mean '(.*)'\?", str(refused(conf, wrong)))
    assert right.partition("=")[0].endswith(suggestion)
    with initialize_config_dir(str(conf), version_base="1.3"):
        compose("train", [right])


def test_groups_of_all_directories_are_listed(conf: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.yaml").touch()
    with (
        initialize_config_dir(str(conf), version_base="1.3"),
        pytest.raises(COMPOSITION_ERRORS, match="what/ever") as caught,
    ):
        compose("train", ["what/ever=1"])
    explained = explain_composition(caught.value, [conf, tmp_path, tmp_path / "nowhere"])
    assert "there are data, debug, mine, model, model/optimizer." in str(explained)


def test_another_error_of_hydra_keeps_its_first_line(conf: Path) -> None:
    with (
        initialize_config_dir(str(conf), version_base="1.3"),
        pytest.raises(COMPOSITION_ERRORS, match="nosuch") as caught,
    ):
        compose("nosuch")
    explained = explain_composition(caught.value, [conf])
    assert "nosuch" in str(explained)
    assert "\n" not in str(explained)


def test_a_wrong_key_in_the_middle_is_told_by_its_parent(conf: Path) -> None:
    assert str(refused(conf, "model.layer.first=3")).startswith(
        "model.layer.first: model has no key 'layer', it has layers, optimizer, width. Did you mean 'layers'?"
    )


@pytest.mark.parametrize("override", ["+trainer.lr=1", "model@here=cnn"])
def test_an_explanation_is_punctuated_once(conf: Path, override: str) -> None:
    assert ".." not in str(refused(conf, override))


@pytest.mark.parametrize("override", ["model=null", "model=3", "debug=1.5"])
def test_a_group_that_is_given_no_name_is_explained(conf: Path, override: str) -> None:
    assert refused(conf, override).exit_status == 2
