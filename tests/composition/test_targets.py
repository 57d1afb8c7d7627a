"""A target is checked without being called: it exists, and takes what the config gives it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from keepbest.composition.targets import check_targets
from keepbest.errors import ConfigError

Write = Callable[[str], str]

USERS = """
    import enum, pathlib
    from collections.abc import Callable, Sequence
    from typing import Any, Literal, Optional, Union

    CALLED = []

    class Net:
        def __init__(
            self,
            width: int,
            lr: float = 0.1,
            name: Optional[str] = None,
            sizes: Sequence[int] = (),
            betas: tuple[float, float] = (0.9, 0.999),
            kind: Literal["a", "b"] = "a",
            flag: bool = False,
            table: dict[str, int] | None = None,
            inner: "Net | None" = None,
            make: Callable[..., Any] | None = None,
            parts: "list[Net] | None" = None,
            path: Union[str, pathlib.Path, None] = None,
            anything=None,
        ):
            CALLED.append(self)

        @classmethod
        def wide(cls, lr: float):
            CALLED.append(cls)

    class Open:
        def __init__(self, width: int, **settings: Any):
            CALLED.append(self)

    class OnlyNew:
        def __new__(cls, width: int):
            CALLED.append(cls)

    def build(*shape, lr: float, **settings):
        CALLED.append(build)

    def positional(a, /, b=1):
        CALLED.append(positional)

    NUMBER = 3
    """


@pytest.fixture
def users(user_module: Write) -> str:
    return user_module(USERS)


def node(users: str, target: str, **arguments: object) -> dict[str, object]:
    return {"_target_": f"{users}.{target}", **arguments}


def assert_nothing_was_called(users: str) -> None:
    assert __import__(users).CALLED == []


NET: dict[str, dict[str, object]] = {
    "all that is needed": {},
    "a whole number for a float": {"lr": 1},
    "null where it may be": {"name": None},
    "a list for a sequence": {"sizes": [1, 2]},
    "a list for a tuple": {"betas": [0.9, 0.99]},
    "one of the choices": {"kind": "b"},
    "a mapping": {"table": {"a": 1}},
    "text for a path": {"path": "data"},
    "without an annotation": {"anything": [1, {"a": None}]},
}


@pytest.mark.parametrize("arguments", NET.values(), ids=NET)
def test_a_sound_call_passes_without_being_made(users: str, arguments: dict[str, object]) -> None:
    check_targets(node(users, "Net", width=3, **arguments), "model")
    assert_nothing_was_called(users)


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("Open", {"width": 1, "lr": 0.1, "whatever": "x"}),
        ("OnlyNew", {"width": 1}),
        ("build", {"lr": 0.1, "_args_": [1, 2], "more": 3}),
        ("positional", {"_args_": [1], "b": 2}),
        ("Net.wide", {"lr": 0.1}),
        ("Net", {"_partial_": True}),
        ("Net", {"_args_": [3]}),
        ("Net", {"width": 3, "_convert_": "all", "_recursive_": True}),
    ],
    ids=str,
)
def test_so_does_any_other_kind_of_target(users: str, target: str, arguments: dict[str, object]) -> None:
    check_targets(node(users, target, **arguments), "model")
    assert_nothing_was_called(users)


@pytest.mark.parametrize("target", ["builtins.dict", "collections.OrderedDict", "datetime.timedelta"])
def test_so_does_a_class_that_tells_no_signature(target: str) -> None:
    check_targets({"_target_": target, "a": 1} if target != "datetime.timedelta" else {"_target_": target}, "model")


ARGUMENTS: dict[str, tuple[dict[str, object], str]] = {
    "unknown": ({"heigth": 1}, "model.heigth: Net takes no argument 'heigth', it takes width, lr, name, sizes"),
    "text for a number": ({"width": "3"}, "model.width: Net wants int, got '3'."),
    "a float for a whole number": ({"width": 3.0}, "model.width: Net wants int, got 3.0."),
    "null": ({"lr": None}, "model.lr: Net wants float, got None."),
    "a number for text": ({"name": 5}, "model.name: Net wants "),
    "an element": ({"sizes": [1, "b"]}, "model.sizes: Net wants "),
    "text for a sequence": ({"sizes": "12"}, "model.sizes: Net wants "),
    "too long a tuple": ({"betas": [0.9, 0.99, 0.999]}, "model.betas: Net wants tuple[float, float], got [0.9, 0.99, "),
    "no choice": ({"kind": "c"}, "model.kind: Net wants Literal['a', 'b'], got 'c'."),
    "a number for truth": ({"flag": 1}, "model.flag: Net wants bool, got 1."),
    "text for a factory": ({"make": "torch.optim.SGD"}, "model.make: Net wants "),
}


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_wrong_argument_is_refused_by_its_place(users: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        check_targets({"_target_": f"{users}.Net", "width": 3, **arguments}, "model")
    assert_nothing_was_called(users)


def test_a_misspelt_argument_gets_a_suggestion(users: str) -> None:
    with pytest.raises(ConfigError, match=r"takes no argument 'widht', .*\. Did you mean 'width'\?$"):
        check_targets(node(users, "Net", widht=3), "model")


@pytest.mark.parametrize(
    ("target", "name"), [("Net", "width"), ("Open", "width"), ("build", "lr"), ("OnlyNew", "width")]
)
def test_a_missing_argument_is_named_with_what_to_type(users: str, target: str, name: str) -> None:
    message = rf"^model\.{name}: {target} needs a value for it\. Add \+model\.{name}=\.\.\.$"
    with pytest.raises(ConfigError, match=message):
        check_targets(node(users, target), "model")


def test_what_the_program_adds_is_not_missing(users: str) -> None:
    check_targets(node(users, "Net"), "model", given=("width",))


def test_what_the_program_adds_is_still_missing_inside(users: str) -> None:
    with pytest.raises(ConfigError, match=r"^model\.inner\.width: Net needs a value for it"):
        check_targets(node(users, "Net", inner=node(users, "Net")), "model", given=("width",))


def test_a_partial_is_still_checked_for_what_it_is_given(users: str) -> None:
    with pytest.raises(ConfigError, match=r"^model\.lr: Net wants float, got 'x'\.$"):
        check_targets(node(users, "Net", _partial_=True, lr="x"), "model")
    with pytest.raises(ConfigError, match=r"^model\.rl: Net takes no argument 'rl'"):
        check_targets(node(users, "Net", _partial_=True, rl=1), "model")


NESTED: dict[str, tuple[str, str]] = {
    "an argument": ("inner", "model.inner"),
    "a list": ("parts", "model.parts[1]"),
    "a mapping": ("anything", "model.anything.deep[0]"),
}


@pytest.mark.parametrize(("name", "place"), NESTED.values(), ids=NESTED)
def test_nested_nodes_are_checked_by_their_own_place(users: str, name: str, place: str) -> None:
    right, wrong = node(users, "Net", width=1), node(users, "Net", width="x")
    for inner, faulty in ((right, False), (wrong, True)):
        value = {"inner": inner, "parts": [right, inner], "anything": {"deep": [inner]}}[name]
        outer = node(users, "Net", width=1, **{name: value})
        if not faulty:
            check_targets(outer, "model")
            continue
        with pytest.raises(ConfigError, match=f"^{re.escape(place)}\\.width: Net wants int, got 'x'"):
            check_targets(outer, "model")


def test_nodes_without_a_target_of_their_own_are_looked_into(users: str) -> None:
    with pytest.raises(ConfigError, match=r"^callbacks\.a\.width: Net needs a value for it"):
        check_targets({"a": node(users, "Net"), "b": None, "c": 3}, "callbacks")


TARGETS: dict[str, tuple[str, str]] = {
    "no module": (
        "nosuchmodule.Net",
        "there is no module 'nosuchmodule' here, got 'nosuchmodule.Net'. Install it, or run",
    ),
    "no module, one word": (
        "Net",
        "there is no module 'Net' here, got 'Net'. Install it, or run the command in the dir",
    ),
    "no attribute": ("{users}.Nett", "{users} has no 'Nett', got '{users}.Nett'. Did you mean 'Net'?"),
    "nothing like it": ("{users}.Zzz", "{users} has no 'Zzz', got '{users}.Zzz'."),
    "no submodule": ("logging.nosuch.Net", "logging has no 'nosuch', got 'logging.nosuch.Net'."),
    "no method": ("{users}.Net.wid", "Net has no 'wid', got '{users}.Net.wid'. Did you mean 'wide'?"),
    "a number": ("{users}.NUMBER", "it must name a class or a function, got '{users}.NUMBER'."),
    "a module": ("logging.handlers", "it must name a class or a function, got 'logging.handlers'."),
    "no such class of C++": ("torch.classes.a.b", "looking for torch.classes.a.b failed: "),
    "two dots": ("logging..Net", "logging has no '', got 'logging..Net'."),
}


@pytest.mark.parametrize(("target", "message"), TARGETS.values(), ids=TARGETS)
def test_a_target_that_is_not_there_is_told(users: str, target: str, message: str) -> None:
    message = f"model._target_: {message}".replace("{users}", users)
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        check_targets({"_target_": target.replace("{users}", users)}, "model")


@pytest.mark.parametrize("target", ["", ".", "..", ".relative"])
def test_a_target_that_is_no_path_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match=r"^model\._target_: "):
        check_targets({"_target_": target}, "model")


@pytest.mark.parametrize(
    "target", ["xml.sax.handler.ContentHandler", "lightning.pytorch.demos.boring_classes.BoringModel"]
)
def test_a_class_in_a_submodule_that_nobody_imported_is_found(target: str) -> None:
    """Also where the packages above it are loaded: Hydra imports it then, and so must this."""
    check_targets({"_target_": target}, "model")


BROKEN: dict[str, tuple[str, str]] = {
    "raises": (
        "raise RuntimeError('no licence')",
        "importing {name} raised RuntimeError: no licence, got '{name}.Net'.",
    ),
    "is no Python": ("def", "importing {name} raised SyntaxError: "),
    "needs another module": (
        "import nosuchmodule",
        "importing {name} raised ModuleNotFoundError: No module named 'nosuch",
    ),
    "needs another name": (
        "from os import nosuch",
        "importing {name} raised ImportError: cannot import name 'nosuch' ",
    ),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_module_that_cannot_be_imported_is_told_with_its_error(user_module: Write, text: str, message: str) -> None:
    name = user_module(text)
    with pytest.raises(ConfigError, match=f"^{re.escape(f'model._target_: {message}'.replace('{name}', name))}"):
        check_targets({"_target_": f"{name}.Net"}, "model")


def test_annotations_that_cannot_be_resolved_are_not_judged(user_module: Write) -> None:
    """Names under `if TYPE_CHECKING` are there for type checkers only."""
    name = user_module(
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from nowhere import Thing

        class Net:
            def __init__(self, width: int, thing: Thing): ...
        """
    )
    check_targets({"_target_": f"{name}.Net", "width": "x", "thing": 1}, "model")
    with pytest.raises(ConfigError, match=r"^model\.thing: Net needs a value for it"):
        check_targets({"_target_": f"{name}.Net", "width": 1}, "model")


def test_a_partly_unresolvable_annotation_is_not_judged(user_module: Write) -> None:
    name = user_module(
        """
        class Net:
            def __init__(self, inner: "list[Nowhere]" = ()): ...
        """
    )
    check_targets({"_target_": f"{name}.Net", "inner": [1]}, "model")


def test_the_arguments_of_lightnings_trainer_are_checked() -> None:
    trainer = {"_target_": "lightning.pytorch.Trainer", "max_epochs": 3, "accelerator": "cpu"}
    check_targets(trainer, "trainer", given=("callbacks",))
    with pytest.raises(ConfigError, match=r"^trainer\.max_epoch: Trainer takes no argument .* mean 'max_epochs'\?"):
        check_targets({**trainer, "max_epoch": 3}, "trainer")
    with pytest.raises(ConfigError, match=r"^trainer\.max_epochs: Trainer wants .*, got 'many'"):
        check_targets({**trainer, "max_epochs": "many"}, "trainer")


# What works with Hydra, and what must not escape as another error


def test_nodes_that_the_target_will_make_itself_may_lack_arguments(user_module: Write) -> None:
    """The well-known pattern of a model that hands its parameters to the optimizer's node."""
    name = user_module("class Model:\n    def __init__(self, optimizer): ...")
    optimizer = {"_target_": "torch.optim.SGD", "lr": 0.1}
    check_targets({"_target_": f"{name}.Model", "_recursive_": False, "optimizer": optimizer}, "model")


PASSES: dict[str, tuple[str, object]] = {
    "tuples in a list": ("list[tuple[int, int]]", [[1, 2], [3, 4]]),
    "tuples in a tuple": ("tuple[tuple[int, int], ...]", [[1, 2]]),
    "a list or a tuple": ("list[int] | tuple[int, int]", [1, 2, 3]),
    "nodes in lists": ("list[list[Inner]]", [[{"_target_": "builtins.dict"}]]),
    "a path": ("pathlib.Path", "data"),
    "an enum": ("Colour", "red"),
}


@pytest.mark.parametrize(("annotation", "value"), PASSES.values(), ids=PASSES)
def test_what_the_class_itself_would_take_passes(user_module: Write, annotation: str, value: Any) -> None:
    name = user_module(
        f"""
        import enum, pathlib

        class Inner: ...
        class Colour(str, enum.Enum):
            RED = "red"
        class Net:
            def __init__(self, x: {annotation}): ...
        """
    )
    check_targets({"_target_": f"{name}.Net", "x": value}, "model")


@pytest.mark.parametrize("target", [5, None, ["a"]], ids=str)
def test_a_target_that_is_no_text_is_refused(target: object) -> None:
    with pytest.raises(ConfigError, match=r"^model\.optimizer\._target_: "):
        check_targets({"_target_": "builtins.dict", "optimizer": {"_target_": target}}, "model")


def test_a_module_that_exits_when_imported_is_told(user_module: Write) -> None:
    name = user_module("import sys\nsys.exit(0)")
    with pytest.raises(ConfigError, match=f"importing {name} raised SystemExit"):
        check_targets({"_target_": f"{name}.Net"}, "model")
