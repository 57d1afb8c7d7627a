"""Somebody else's run: nothing that it holds is executed, nothing is written, and each refusal says what and how."""

from __future__ import annotations

import collections
import functools
import io
import os
import pickle
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import keepbest
from keepbest.composition.resolved import read_config, write_config
from keepbest.errors import ConfigError, KeepbestError
from keepbest.reading import run_files

GIGABYTE = 1 << 30
SECONDS = 15  # two shared cores; what hangs or unpacks a bomb takes for ever
HARMFUL = {
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.putenv", "subprocess.Popen", "pickle.find_class",
    "socket.connect", "socket.getaddrinfo", "urllib.Request", "webbrowser.open",
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod",
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
SEEDS = (b"PL_GLOBAL_SEED", b"PL_SEED_WORKERS")  # Lightning's; whether they are put back is looked at, too

heard: list[str] | None = None  # an audit hook cannot be taken back, only told not to listen


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if heard is None or (event == "os.putenv" and arguments[0] in SEEDS):
        return
    opened_to_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
    if event in HARMFUL or opened_to_write:
        heard.append(f"{event} {arguments}")


sys.addaudithook(_listen)


@contextmanager
def watched(run: Path, hit: Path) -> Iterator[None]:
    """Fail when the block executes, writes, opens a connection, imports the canary, or takes long."""
    global heard
    before, environment = tree(run), dict(os.environ)
    signal.alarm(SECONDS)
    began, heard = time.monotonic(), []
    sys.dont_write_bytecode, bytecode = True, sys.dont_write_bytecode
    try:
        yield
    finally:
        signal.alarm(0)
        sys.dont_write_bytecode = bytecode
        told, heard = heard, None
    assert told == []
    assert time.monotonic() - began < SECONDS
    assert not hit.exists(), "a payload was executed"
    assert not {"canary", "antigravity", "this"} & set(sys.modules), "a module was imported"
    assert tree(run) == before, "something was written into the run"
    assert dict(os.environ) == environment


def tree(directory: Path) -> dict[str, tuple[int, int, int]]:
    states = {path: path.lstat() for path in [directory, *directory.rglob("*")]}
    return {str(path): (state.st_mode, state.st_size, state.st_mtime_ns) for path, state in states.items()}


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TimeoutError(f"opening the run took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def hit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What every payload tries to make; a module that makes it when it is imported lies in the working directory."""
    path = tmp_path / "hit"
    victim = tmp_path / "victim"
    victim.mkdir()
    code = f"open({str(path)!r}, 'w')\nfrom keepbest.models import MLPClassifier as Net\n"
    (victim / "canary.py").write_text(code)
    (victim / "payload.pkl").write_bytes(pickle.dumps(Payload(os.system, f"touch {path}")))
    monkeypatch.chdir(victim)
    monkeypatch.syspath_prepend(victim)
    return path


def open_all(directory: Path, **how: Any) -> None:
    """Ask a run for all that it has."""
    run = keepbest.open_run(directory, **how)
    repr(run)
    assert run.config
    assert len(run.metrics)
    run.plot()
    run.load_model()
    run.datamodule()
    run.evaluate()


def refused(directory: Path, hit: Path, message: str) -> KeepbestError:
    with watched(directory, hit), pytest.raises(KeepbestError, match=f"(?s){message}") as caught:
        open_all(directory)
    assert len(str(caught.value)) < 2500
    return caught.value


def test_the_honest_one_opens_and_writes_nothing(honest_run: Path, hit: Path) -> None:
    """The control: the watch is there, and quiet."""
    with watched(honest_run, hit):
        open_all(honest_run)


def test_the_watch_hears_what_it_should(honest_run: Path, tmp_path: Path, hit: Path) -> None:
    for harm in (lambda: os.system("true"), hit.touch, lambda: pickle.loads(hit.parent.joinpath("p").read_bytes())):
        (tmp_path / "p").write_bytes(pickle.dumps(Payload(str, "x")))
        with pytest.raises(AssertionError), watched(honest_run, hit):
            harm()
        hit.unlink(missing_ok=True)


class Payload:
    """Calls something when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


# Targets: what is named, and where in the config.

MLP = {"_target_": "keepbest.models.MLPClassifier", "input_shape": [1, 8, 8], "num_outputs": 10, "hidden_sizes": [4]}
FROM_ELSEWHERE = "it must be a class of keepbest, torch, torchmetrics or lightning that only computes"
A_FUNCTION = "it must be a class: an opened run calls no functions or methods"
ANOTHER_KIND = "it must be a class of the kind "
NOT_ADMITTED = f"{ANOTHER_KIND}|{FROM_ELSEWHERE}"  # as it stands at the top or inside
A_CALLER = "it must be a class that does more than call what it is given"
NO_PATH = "it must be a class, by its dotted path"

TARGETS: dict[str, tuple[dict[str, Any], str]] = {
    "a shell": ({"_target_": "os.system", "command": "touch ../hit"}, FROM_ELSEWHERE),
    "a process": ({"_target_": "subprocess.Popen", "args": ["touch", "../hit"]}, FROM_ELSEWHERE),
    "a forked process": ({"_target_": "multiprocessing.Process", "name": "x"}, FROM_ELSEWHERE),
    "code": ({"_target_": "builtins.exec", "_args_": ["open('../hit', 'w')"]}, FROM_ELSEWHERE),
    "a file": ({"_target_": "pathlib.Path.touch", "_args_": ["../hit"]}, FROM_ELSEWHERE),
    "a harmless class": ({"_target_": "collections.OrderedDict"}, FROM_ELSEWHERE),
    "a module that is imported": ({"_target_": "antigravity.fly"}, FROM_ELSEWHERE),
    "a class of the working directory": ({"_target_": "canary.Net"}, FROM_ELSEWHERE),
    "a pickle": ({"_target_": "pandas.read_pickle", "filepath_or_buffer": "payload.pkl"}, FROM_ELSEWHERE),
    "a pickle by joblib": ({"_target_": "joblib.load", "filename": "payload.pkl"}, FROM_ELSEWHERE),
    "a pickle by torch": ({"_target_": "torch.load", "f": "payload.pkl", "weights_only": False}, FROM_ELSEWHERE),
    "a hub": ({"_target_": "torch.hub.load", "repo_or_dir": "a/b", "model": "c"}, FROM_ELSEWHERE),
    "a script module": ({"_target_": "torch.jit.load", "f": "payload.pkl"}, FROM_ELSEWHERE),
    "a class that runs a script": ({"_target_": "torch.jit.CompilationUnit", "lang": "x"}, FROM_ELSEWHERE),
    "a package": ({"_target_": "torch.package.PackageImporter", "file_or_buffer": "payload.pkl"}, FROM_ELSEWHERE),
    "a graph of code": ({"_target_": "torch.fx.GraphModule", "root": {}, "graph": None}, FROM_ELSEWHERE),
    "a store on the network": ({"_target_": "torch.distributed.TCPStore", "host_name": "x", "port": 1}, FROM_ELSEWHERE),
    "an event writer": ({"_target_": "torch.utils.tensorboard.SummaryWriter", "log_dir": ".."}, FROM_ELSEWHERE),
    "a metric that downloads": ({"_target_": "torchmetrics.text.bert.BERTScore"}, NOT_ADMITTED),
    "data that download": (
        {"_target_": "lightning.pytorch.demos.mnist_datamodule.MNISTDataModule"}, FROM_ELSEWHERE,
    ),
    "a trainer": ({"_target_": "lightning.pytorch.Trainer", "default_root_dir": ".."}, FROM_ELSEWHERE),
    "a logger": ({"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": ".."}, FROM_ELSEWHERE),
    "a callback that calls": (
        {"_target_": "lightning.pytorch.callbacks.LambdaCallback", "setup": MLP}, FROM_ELSEWHERE,
    ),
    "a command line": ({"_target_": "lightning.pytorch.cli.LightningCLI"}, FROM_ELSEWHERE),
    "keepbest's command": ({"_target_": "keepbest.train", "overrides": []}, FROM_ELSEWHERE),
    "keepbest's main module": ({"_target_": "keepbest.__main__.main"}, NO_PATH),
    "Hydra itself": ({"_target_": "hydra.utils.instantiate", "config": {"_target_": "os.getcwd"}}, FROM_ELSEWHERE),
    "a function in a class's place": ({"_target_": "functools.partial", "_args_": []}, FROM_ELSEWHERE),
    "a function of a known module": ({"_target_": "torch.nn.init.zeros_", "tensor": 1}, A_FUNCTION),
    "a module behind a known one": ({"_target_": "torch.nn.modules.module.os.system"}, "(no 'os'|calls no functions)"),
    "what looks itself up": ({"_target_": "torch.nn.modules.module.torch.classes.a.b"}, "looking for .* failed"),
    "a class behind a known one": ({"_target_": "torch.optim.optimizer.defaultdict"}, ANOTHER_KIND),
    "a method that loads": (
        {"_target_": "keepbest.models.MLPClassifier.load_from_checkpoint", "checkpoint_path": "payload.pkl"},
        A_FUNCTION,
    ),
    "what Python keeps for itself": ({"_target_": "torch.nn.Linear.__init__.__globals__"}, NO_PATH),
    "a private one": ({"_target_": "torch.nn.modules._functions.SyncBatchNorm"}, FROM_ELSEWHERE),
    "a scheduler that calls": ({"_target_": "torch.optim.lr_scheduler.LambdaLR", "lr_lambda": MLP}, A_CALLER),
    "another": ({"_target_": "torch.optim.lr_scheduler.MultiplicativeLR", "_partial_": True}, A_CALLER),
    "a loss that calls": (
        {"_target_": "torch.nn.TripletMarginWithDistanceLoss", "distance_function": MLP}, A_CALLER,
    ),
    "an average that calls": ({"_target_": "torch.optim.swa_utils.AveragedModel", "avg_fn": MLP}, A_CALLER),
    "a loader that calls": ({"_target_": "torch.utils.data.DataLoader", "collate_fn": MLP}, A_CALLER),
    "a data pipe": ({"_target_": "torch.utils.data.IterDataPipe"}, NOT_ADMITTED),
    "a pipe that opens": (
        {"_target_": "torch.utils.data.datapipes.iter.FileOpener", "datapipe": ["x"]}, NOT_ADMITTED,
    ),
    "nothing": ({"_target_": None}, NO_PATH),
    "a number": ({"_target_": 5}, NO_PATH),
    "a mapping": ({"_target_": {"_target_": "os.system"}}, NO_PATH),
    "a list": ({"_target_": ["os.system"]}, NO_PATH),
    "an address": ({"_target_": "http://localhost:1/x.py"}, NO_PATH),
    "a relative path": ({"_target_": "..canary.Net"}, NO_PATH),
    "an interpolation": ({"_target_": "${oc.env:HOME}"}, "must not interpolate"),
}  # fmt: skip

POSITIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "at the top": lambda node: {"model": node},
    "as the data": lambda node: {"data": node},
    "as an argument": lambda node: {"model": {**MLP, "optimizer": node}},
    "as a partial": lambda node: {"model": {**MLP, "optimizer": {**node, "_partial_": True}}},
    "in a list": lambda node: {"model": {**MLP, "scheduler": [1, [node]]}},
    "among the positional": lambda node: {"model": {**MLP, "_args_": [node]}},
    "where nothing is recursive": lambda node: {"model": {**MLP, "_recursive_": False, "optimizer": {"a": node}}},
    "inside an admitted one": lambda node: {
        "model": {
            **MLP,
            "network": {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.ReLU"}, node]},
        }
    },
}


@pytest.mark.parametrize("place", POSITIONS)
@pytest.mark.parametrize(("node", "message"), TARGETS.values(), ids=TARGETS)
def test_a_target_is_refused_wherever_it_stands(
    copied: Path, hit: Path, place: str, node: dict[str, Any], message: str
) -> None:
    write_config(copied, {**read_config(copied), **POSITIONS[place](node)})
    error = refused(copied, hit, message)
    assert isinstance(error, ConfigError)
    assert str(error).startswith("data" if place == "as the data" else "model")
    if message != NO_PATH and message.startswith("it must be a class"):
        assert f'keepbest.open_run("{copied}", ' in str(error), "it says what to type"


PARTIALS: dict[str, dict[str, Any]] = {
    "a scheduler's function": {"_target_": "torch.optim.lr_scheduler.CyclicLR", "scale_fn": ...},
    "an activation": {"_target_": "torch.nn.TransformerEncoderLayer", "d_model": 4, "nhead": 1, "activation": ...},
    "a metric's aggregation": {"_target_": "torchmetrics.retrieval.RetrievalMAP", "aggregation": ...},
    "in a list": {"_target_": "torch.nn.Sequential", "_args_": [...]},
}


@pytest.mark.parametrize("holder", PARTIALS.values(), ids=PARTIALS)
def test_a_factory_goes_to_no_class_of_a_library(copied: Path, hit: Path, holder: dict[str, Any]) -> None:
    factory = {"_target_": "torch.nn.Linear", "_partial_": True, "in_features": 10**6}
    filled = {key: factory if value is ... else value for key, value in holder.items()}
    filled = {key: [factory] if value == [...] else value for key, value in filled.items()}
    write_config(copied, {**read_config(copied), "model": {**MLP, "network": filled}})
    refused(copied, hit, "a _partial_ must be an argument of a class of keepbest or of a module you name, not of ")


# The other parts of a config.

NO_TAG = "could not determine a constructor"
NO_NODE = "it must be a mapping with the _target_ of a class"
CONFIGS: dict[str, tuple[str, str]] = {
    "a tag that calls": ("model: !!python/object/apply:os.system ['touch ../hit']", NO_TAG),
    "a tag that names": ("model: !!python/name:os.system ''", NO_TAG),
    "a tag that imports": ("model: !!python/module:canary ''", NO_TAG),
    "a tag of its own": ("model: !evil {a: 1}", NO_TAG),
    "pairs, in which a target hides": ("model: !!pairs [a: {_target_: os.system}]", NO_TAG),
    "a number that is none": ("a: !!int x", "cannot be read as a config"),
    "a truth that is none": ("a: !!bool x", "cannot be read as a config"),
    "aliases that multiply": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
        ),
        "must not hold aliases",
    ),
    "an alias of itself": ("a: &a [*a]", "must not hold aliases"),
    "merged mappings": ("model: {<<: {_target_: os.system}, command: touch ../hit}", "a key must be a plain value"),
    "keys that are mappings": ("? {a: 1}\n: 1", "a key must be a plain value"),
    "a key twice": ("model: {_target_: keepbest.models.MLPClassifier}\nmodel: {_target_: os.system}", "duplicate key"),
    "lists in lists": ("a: " + "[" * 200_000, "inside each other"),
    "mappings in mappings": ("a: " + "{a: " * 200_000, "inside each other"),
    "too many values": ("a: [" + "1," * 400_000 + "]", "more than 50000 nodes"),
    "a number of many digits": ("a: 0x" + "f" * 900_000, "digits"),
    "a number to the base of sixty": ("a: 1" + ":10" * 300_000, "digits"),
    "no text": ("\x00\x01", "cannot be read as a config"),
    "a list": ("- 1", "must hold a mapping"),
    "no model": ("data: {}", f"model: {NO_NODE}, and is a NoneType"),
    "a model that is text": ("model: os.system", f"model: {NO_NODE}, and is a str"),
    "a model without a target": ("model: {a: 1}", f"model: {NO_NODE}"),
    "a list that calls itself a mapping": ("model: !!map [a]", "it must not call a mapping what is none"),
    "a mapping that calls itself a list": ("model: !!seq {a: 1}", "expected a sequence node"),
    "a mapping that calls itself a text": ("model: !!str {a: 1}", "expected a scalar node"),
    "a list that calls itself a number": ("model: !!int [1]", "expected a scalar node"),
    "a number of no digits": ("a: !!int '0x'", "cannot be read as a config"),
    "an ordered mapping": ("model: !!omap [_target_: os.system]", NO_TAG),
    "a set": ("model: !!set {_target_}", NO_TAG),
    "a date": ("a: !!timestamp 2001-01-01", NO_TAG),
    "two documents": ("a: 1\n---\nmodel: {_target_: os.system}", "expected a single document"),
    "another YAML": ("%YAML 9.9\n---\na: 1", "incompatible YAML document"),
    "what goes through keepbest's own modules": (
        "model: {_target_: keepbest.models.mlp.nn.modules.module.torch.hub.load, repo_or_dir: x}", A_FUNCTION,
    ),
    "modules in a known one's reach": (
        "model: {_target_: keepbest.models.mlp.nn.modules.module.sys.modules}", "has no 'sys'",
    ),
    "a flag of Hydra that is none": (
        "model: {_target_: keepbest.models.MLPClassifier, _recursive_: 'no'}", "_recursive_ flag must be a bool",
    ),
    "another flag that is none": (
        "model: {_target_: keepbest.models.MLPClassifier, _partial_: 'true'}", "_partial_ flag must be a bool",
    ),
    "arguments that are a mapping": (
        "model: {_target_: keepbest.models.MLPClassifier, _args_: {a: 1}}", "Unsupported _args_ type",
    ),
    "a partial of a demonstration": (
        "model: {_target_: lightning.pytorch.demos.boring_classes.BoringModel, a: "
        "{_target_: torch.optim.Adam, _partial_: true}}",
        "a _partial_ must be an argument of a class of keepbest",
    ),
    "data of a path that is none": (
        'data: {_target_: keepbest.data.CsvTable, path: "a\\0b", target: a}', "path must name a file",
    ),
    "data of nobody's home": (
        "data: {_target_: keepbest.data.CsvTable, path: ~nobody_of_this_name/x, target: a}", "home directory",
    ),
    "data of a long path": (
        f"data: {{_target_: keepbest.data.CsvTable, path: {'x' * 10_000}, target: a}}", "File name too long",
    ),
    "data of the process's environment": (
        "data: {_target_: keepbest.data.CsvTable, path: /proc/self/environ, target: a}", "environ",
    ),
    "Hydra's settings": ("hydra: {callbacks: {a: {_target_: canary.Net}}}", "must not hold Hydra's own settings"),
    "the environment": ("model: {_target_: keepbest.models.MLPClassifier, monitor: '${oc.env:HOME}'}", "interpolate"),
    "the environment, as a key": (
        "model: {_target_: keepbest.models.MLPClassifier, '${oc.env:HOME}': 1}", "interpolate",
    ),
    "an unknown resolver": ("model: {_target_: keepbest.models.MLPClassifier, monitor: '${a:b}'}", "interpolate"),
    "sizes beyond any memory": (
        "model: {_target_: keepbest.models.MLPClassifier, input_shape: [100000000], num_outputs: 10, "
        "hidden_sizes: [100000000]}",
        "cannot be made",
    ),
    "sizes that are nowhere": (
        "model: {_target_: keepbest.models.MLPClassifier, input_shape: [], num_outputs: 0}", "num_outputs must be",
    ),
    "weights of another model": (
        "model: {_target_: keepbest.models.MLPClassifier, input_shape: [8], num_outputs: 2}", "hold the weights of",
    ),
    "a partial of the model": (
        "model: {_target_: keepbest.models.MLPClassifier, _partial_: true}", "must be a LightningModule",
    ),
    "data of a file that is none": (
        "data: {_target_: keepbest.data.CsvTable, path: /dev/zero, target: a}", "path must name a file",
    ),
    "data of an address": (
        "data: {_target_: keepbest.data.CsvTable, path: 'http://localhost:1/a.csv', target: a}", "must name a file",
    ),
    "data beyond any memory": (
        "data: {_target_: keepbest.data.Shapes, num_samples: 100000000000, image_size: 10000}", "data",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), CONFIGS.values(), ids=CONFIGS)
def test_a_config_that_is_no_honest_one_is_refused(copied: Path, hit: Path, text: str, message: str) -> None:
    if text.startswith("data: {_"):
        text += "\n" + yaml.safe_dump({"model": read_config(copied)["model"]})
    (copied / "config.yaml").write_text(text)
    refused(copied, hit, message)


# Checkpoints, with records that agree with them.


def saved(content: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **how)
    return file.getvalue()


def with_hyperparameters(learnt: Any) -> Callable[[dict[str, Any], Path], bytes]:
    return lambda content, hit: saved({**content, "hyper_parameters": learnt})


def with_weights(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, Any], Path], bytes]:
    def make(content: dict[str, Any], hit: Path) -> bytes:
        return saved({**content, "state_dict": {name: change(item) for name, item in content["state_dict"].items()}})

    return make


def nested_lists() -> list[Any]:
    """Few objects, each of which holds the next one ten times."""
    inside: list[Any] = []
    for _ in range(30):
        inside = [inside] * 10
    return inside


def itself() -> list[Any]:
    one: list[Any] = []
    one.append(one)
    return one


class Liar:
    """An OrderedDict, once it is unpickled, whose `items` is a number and not a method."""

    def __reduce__(self) -> tuple[Any, ...]:
        return collections.OrderedDict, (), {"items": 5}, None, iter([("_target_", "os.system")])


def script(content: dict[str, Any], hit: Path) -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), file)
    return stored(parts_of(file.getvalue()))


def stored(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def compressed(content: dict[str, Any], hit: Path) -> bytes:
    """200 MB of zeros in a few hundred kilobytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts_of(saved(content)).items():
            archive.writestr(name, data)
        archive.writestr("archive/data/999", bytes(200_000_000))
    return file.getvalue()


def overlapping(content: dict[str, Any], hit: Path) -> bytes:
    """One part, which the list of parts names a thousand times."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in parts_of(saved(content)).items():
            archive.writestr(name, data)
        archive.filelist += [archive.filelist[0]] * 1000
        archive.filelist[0].file_size = archive.filelist[0].compress_size = 10**6
    return file.getvalue()


def parts_of(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def shell(hit: Path) -> Payload:
    return Payload(os.system, f"touch {hit}")


ONLY_PLAIN = "a checkpoint must hold only tensors and plain containers"
NO_ARCHIVE = "a checkpoint must be a file of torch.save, "
CHECKPOINTS: dict[str, tuple[Callable[[dict[str, Any], Path], bytes], str]] = {
    "a pickle": (lambda content, hit: pickle.dumps(shell(hit)), NO_ARCHIVE),
    "a shell among the weights": (lambda content, hit: saved({"state_dict": {"a": shell(hit)}}), ONLY_PLAIN),
    "a shell beside the weights": (lambda content, hit: saved({**content, "x": shell(hit)}), ONLY_PLAIN),
    "a shell as the file": (lambda content, hit: saved(shell(hit)), ONLY_PLAIN),
    "code": (lambda content, hit: saved({**content, "x": Payload(exec, f"open({str(hit)!r}, 'w')")}), ONLY_PLAIN),
    "another file that is loaded": (
        lambda content, hit: saved({**content, "x": Payload(torch.load, "payload.pkl")}), ONLY_PLAIN,
    ),
    "a module": (lambda content, hit: saved({**content, "x": torch.nn.Linear(1, 1)}), ONLY_PLAIN),
    "a shell in the old format": (
        lambda content, hit: saved({**content, "x": shell(hit)}, _use_new_zipfile_serialization=False), NO_ARCHIVE,
    ),
    "a script": (script, ONLY_PLAIN),
    "compressed zeros": (compressed, "a checkpoint must not be compressed"),
    "parts that overlap": (overlapping, "a checkpoint must not be larger inside than outside"),
    "nothing": (lambda content, hit: b"", NO_ARCHIVE),
    "an empty archive": (lambda content, hit: b"PK\x05\x06" + bytes(18), ONLY_PLAIN),
    "no mapping": (lambda content, hit: saved([1]), "a checkpoint must hold a 'state_dict'"),
    "no weights": (lambda content, hit: saved({"a": 1}), "a checkpoint must hold a 'state_dict'"),
    "weights that are none": (
        lambda content, hit: saved({**content, "state_dict": dict.fromkeys(content["state_dict"], 1)}),
        "must hold the weights of the run's model",
    ),
    "weights of a view that is larger than any memory": (
        lambda content, hit: saved(
            {**content, "state_dict": {name: torch.zeros(1).expand(10**12) for name in content["state_dict"]}}
        ),
        "must hold the weights of the run's model",
    ),
    "weights without names": (
        lambda content, hit: saved({**content, "state_dict": {1: torch.zeros(1)}}), "must hold the weights of",
    ),
    "weights without numbers": (with_weights(lambda weight: weight.to("meta")), "has a shape and no numbers"),
    "weights of another type": (with_weights(lambda weight: weight.to(torch.int64)), "must hold the weights of"),
    "quantized weights": (
        with_weights(lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8)), "must hold the weights of",
    ),
    "weights with names that are pairs": (
        lambda content, hit: saved({**content, "state_dict": {("a",): torch.zeros(1)}}), "must hold the weights of",
    ),
    "weights for nothing": (
        lambda content, hit: saved({**content, "state_dict": {}}), "must hold the weights of the run's model",
    ),
    "a part beside the archive's folder": (
        lambda content, hit: stored(parts_of(saved(content)) | {"elsewhere/constants.pkl": b"x"}), ONLY_PLAIN,
    ),
    "a pickle in an archive": (
        lambda content, hit: stored(
            {name: pickle.dumps(shell(hit), 2) if name.endswith("data.pkl") else data
             for name, data in parts_of(saved(content)).items()}
        ),
        "it asks for '[a-z]+.system', and loading that could execute",
    ),
    "a pickle of another protocol in an archive": (
        lambda content, hit: stored(
            {name: pickle.dumps(shell(hit), 5) if name.endswith("data.pkl") else data
             for name, data in parts_of(saved(content)).items()}
        ),
        "it holds something else, or is damaged",
    ),
    "a shell script before the archive": (lambda content, hit: b"#!/bin/sh\n" + saved(content), ONLY_PLAIN),
    "bytes that were learnt": (with_hyperparameters({"num_outputs": b"${oc.env:HOME}"}), "wants int"),
    "a set that was learnt": (with_hyperparameters({"num_outputs": {1, 2}}), "wants int"),
    "a shape that was learnt": (with_hyperparameters({"num_outputs": torch.Size([1])}), "only plain containers, got"),
    "a tensor that was learnt": (with_hyperparameters({"num_outputs": torch.ones(2)}), "wants int"),
    "a size beyond any machine": (with_hyperparameters({"input_shape": [8], "num_outputs": 10**30}), "cannot be made"),
    "a size below any": (with_hyperparameters({"num_outputs": -5}), "num_outputs must be"),
    "a target among what was learnt": (
        with_hyperparameters({"num_outputs": {"_target_": "os.system", "command": "touch ../hit"}}), FROM_ELSEWHERE,
    ),
    "a target that is no text": (with_hyperparameters({"num_outputs": {"_target_": torch.float32}}), NO_PATH),
    "a tuple with a target": (with_hyperparameters({"num_outputs": ({"_target_": "canary.Net"},)}), FROM_ELSEWHERE),
    "the environment among what was learnt": (with_hyperparameters({"num_outputs": "${oc.env:HOME}"}), "interpolate"),
    "lists that multiply": (with_hyperparameters({"num_outputs": nested_lists()}), "more than 100000 values"),
    "a list of itself": (with_hyperparameters({"num_outputs": itself()}), "inside each other"),
    "a mapping that lies": (with_hyperparameters({"num_outputs": Liar()}), "only plain containers, got 'OrderedDict'"),
    "what was learnt is no mapping": (with_hyperparameters([1]), "config must describe a model that can be made"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_a_checkpoint_that_holds_more_than_weights_is_refused(
    copied: Path, hit: Path, replace_checkpoint: Callable[[Path, bytes], None], make: Any, message: str
) -> None:
    content = torch.load(copied / "checkpoints" / "best.ckpt", weights_only=True)
    replace_checkpoint(copied, make(content, hit))
    refused(copied, hit, message)


# Records.

OUTSIDE = "must be relative to the run's directory and inside it, got "
RECORDS: dict[str, tuple[dict[str, Any], str]] = {
    "an absolute path": ({"best_model_path": "/etc/passwd"}, OUTSIDE),
    "a path upwards": ({"best_model_path": "../outside/best.ckpt"}, OUTSIDE),
    "a path down and upwards": ({"best_model_path": "checkpoints/../../outside/best.ckpt"}, OUTSIDE),
    "an address": ({"best_model_path": "https://localhost:1/best.ckpt"}, OUTSIDE),
    "an address of a file": ({"best_model_path": "file:///etc/passwd"}, OUTSIDE),
    "a drive": ({"best_model_path": "C:\\best.ckpt"}, OUTSIDE),
    "a path upwards on Windows": ({"best_model_path": "checkpoints\\..\\..\\outside"}, OUTSIDE),
    "a share": ({"best_model_path": "\\\\evil\\share\\best.ckpt"}, OUTSIDE),
    "a zero byte": ({"best_model_path": "checkpoints/best.ckpt\x00.txt"}, OUTSIDE),
    "no path": ({"best_model_path": ""}, OUTSIDE),
    "the directory itself": ({"best_model_path": "."}, "a regular file"),
    "a long name": ({"best_model_path": "x" * 5000}, "cannot be looked at: File name too long"),
    "half a character": ({"best_model_path": "\ud800"}, "is no path|does not exist|cannot be looked at"),
    "a character that a terminal obeys": (
        {"best_model_path": "checkpoints/\x9b31mfoo"},
        r"checkpoints/\\x9b31mfoo does not exist",
    ),
    "a path below a file": ({"best_model_path": "run.json/x"}, "run.json/x does not exist"),
    "a stream beside the file": ({"best_model_path": "checkpoints/best.ckpt:ads"}, "best.ckpt:ads does not exist"),
    "another file of the run": ({"best_model_path": "metrics.csv"}, "(recorded as|recorded with the size|sha256)"),
    "a hash that is none": ({"best_sha256": "x" * 10}, "recorded as x{10}, is [0-9a-f]{64}"),
    "the size of nothing": ({"best_bytes": 0}, "was recorded with 0 bytes, has "),
    "another table of metrics": ({"metrics_sha256": "0" * 64}, "a table of metrics must have the sha256"),
    "no hash": ({"best_sha256": None}, "a record must hold the size and the hash of the best checkpoint"),
    "no size": ({"best_bytes": None}, "a record must hold the size and the hash of the best checkpoint"),
    "another hash": ({"best_sha256": "0" * 64}, "recorded as 0{64}, is [0-9a-f]{64}"),
    "another size": ({"best_bytes": 5}, "was recorded with 5 bytes, has "),
    "another version": ({"schema_version": 2}, "schema_version must be 1, got 2"),
    "another type": ({"id": ["x"]}, "record.id must be of type str"),
    "deep": ({"test": {"a": functools.reduce(lambda inner, _: [inner], range(60), 0)}}, "deeper than 32"),
    "a long text": ({"seed": "x" * 10**6}, "is far from the schema"),
}


@pytest.mark.parametrize(("changes", "message"), RECORDS.values(), ids=RECORDS)
def test_a_record_that_leads_elsewhere_is_refused(
    copied: Path, hit: Path, honest_run: Path, edit_record: Callable[..., None], changes: dict[str, Any], message: str
) -> None:
    outside = copied.parent / "outside"
    outside.mkdir()
    (outside / "best.ckpt").write_bytes((honest_run / "checkpoints" / "best.ckpt").read_bytes())
    edit_record(copied, **changes)
    refused(copied, hit, message)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_lock_that_is_none_is_not_waited_for(
    copied: Path, hit: Path, edit_record: Callable[..., None], make: Callable[[Path], None]
) -> None:
    edit_record(copied, status="running", id="\x1b[31m")
    (copied / ".lock").unlink(missing_ok=True)
    make(copied / ".lock")
    with watched(copied, hit):
        open_all(copied)


def test_many_files_under_temporary_names_are_no_way_in(
    copied: Path, hit: Path, edit_record: Callable[..., None]
) -> None:
    best = copied / "checkpoints" / "best.ckpt"
    for number in range(100):
        os.link(best, best.with_name(f".best.ckpt.{number:08x}.partial"))
    edit_record(copied, best_sha256="0" * 64)
    refused(copied, hit, "recorded as 0{64}, is [0-9a-f]{64}")


RAW_RECORDS = {"nothing": b"", "lists in lists": b"[" * 10**6, "no text": b"\xff" * 100, "a pickle": pickle.dumps({})}


@pytest.mark.parametrize("content", RAW_RECORDS.values(), ids=RAW_RECORDS)
@pytest.mark.parametrize("trust", [False, True])
def test_what_is_no_record_is_refused_trusted_or_not(copied: Path, hit: Path, content: bytes, trust: bool) -> None:
    (copied / "run.json").write_bytes(content)
    with watched(copied, hit), pytest.raises(KeepbestError, match=r"run\.json"):
        keepbest.open_run(copied, trust=trust)


# What lies in the place of a file.

FILES = {
    "run.json": "run.json",
    "config.yaml": "config.yaml",
    "metrics.csv": "metrics.csv",
    "best": "checkpoints/best.ckpt",
}


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_a_link_out_of_the_directory_is_refused(copied: Path, hit: Path, name: str) -> None:
    outside = copied.parent / "outside"
    (copied / name).rename(outside)
    (copied / name).symlink_to(outside)
    refused(copied, hit, f"must lie in its directory, '{name}' leads to '{outside}'")
    open_all(copied, trust=True)


def test_a_linked_folder_is_refused(copied: Path, hit: Path) -> None:
    (copied / "checkpoints").rename(copied.parent / "outside")
    (copied / "checkpoints").symlink_to(copied.parent / "outside")
    refused(copied, hit, "must lie in its directory, 'checkpoints/best.ckpt' leads to ")


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
@pytest.mark.parametrize("target", ["/dev/zero", "self"])
def test_a_link_to_a_device_or_to_itself_is_refused(copied: Path, hit: Path, name: str, target: str) -> None:
    (copied / name).unlink()
    (copied / name).symlink_to((copied / name) if target == "self" else target)
    refused(copied, hit, "must lie in its directory|Too many levels|cannot be looked at|does not exist|is no path")


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
def test_what_is_no_regular_file_is_refused_without_opening_it(copied: Path, hit: Path, name: str, make: Any) -> None:
    (copied / name).unlink()
    make(copied / name)
    refused(copied, hit, f"{name} cannot be read: a file of a run must be a regular file")


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_a_huge_file_is_refused_before_it_is_read(copied: Path, hit: Path, name: str) -> None:
    os.truncate(copied / name, 40 * GIGABYTE)
    refused(copied, hit, rf"{name} (must have at most \d+ bytes|was recorded with \d+ bytes, has \d+)")


def test_a_short_table_that_claims_many_cells_is_refused(
    copied: Path, hit: Path, edit_record: Callable[..., None]
) -> None:
    """Its header names a hundred thousand columns, and each of its many rows stands for as many cells."""
    header = ",".join(f"c{number}" for number in range(100_000))
    (copied / "metrics.csv").write_text(f"epoch,step,{header}\n" + "1,1\n" * 100_000)
    edit_record(copied, metrics_sha256=None)
    refused(copied, hit, f"metrics.csv must have at most {run_files.MOST_CELLS} cells, it has 100001 rows of 100002")


# What the person allows.


def test_a_module_that_is_named_is_imported_and_its_functions_still_not_called(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named.py").write_text(
        "from keepbest.models import MLPClassifier\nimport os\n"
        "class Net(MLPClassifier): pass\nclass Other: pass\n"
        "def build(**settings): return Net(**settings)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "named", raising=False)
    model = read_config(copied)["model"]

    def opened(target: str, **how: Any) -> str:
        write_config(copied, {**read_config(copied), "model": {**model, "_target_": target}})
        return type(keepbest.open_run(copied, **how).load_model()).__name__

    assert opened("named.Net", modules=["named"]) == "Net"
    assert opened("named.Net", modules=("named.Net",)) == "Net"
    assert opened("named.build", trust=True) == "Net"
    for target, message in {
        "named.build": A_FUNCTION, "named.os.system": A_FUNCTION, "named.Other": ANOTHER_KIND,
        "name.Net": FROM_ELSEWHERE, "namedd.Net": FROM_ELSEWHERE, "named": FROM_ELSEWHERE,
        "named.__builtins__": NO_PATH,
    }.items():  # fmt: skip
        modules = ["named.os", "named"] if message != FROM_ELSEWHERE else ["named.x"]
        with pytest.raises(ConfigError, match=message):
            opened(target, modules=modules)


def test_a_module_that_is_not_here_is_refused_and_none_is_imported_for_that(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "is_here.py").write_text("raise RuntimeError('it was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    rule = "modules must be ones that can be imported here, got {}. "
    for name in ("no_such_module", "../evil", ".", "no_such_module.Net"):
        top = name.partition(".")[0]
        with pytest.raises(ConfigError) as caught:
            keepbest.open_run(copied, modules=["is_here", name]).load_model()
        remedy = f"Install it, or work in the directory that holds {top}.py."
        assert str(caught.value) == rule.format(repr(name)) + remedy
        with pytest.raises(ConfigError, match="can be imported here"):
            keepbest.open_run(copied, trust=True, modules=[name]).datamodule()
    config = read_config(copied)
    write_config(copied, {**config, "model": {"_target_": "my_module.Net"}})
    with pytest.raises(ConfigError) as caught:
        keepbest.open_run(copied, modules=["my_modul"]).load_model()
    assert str(caught.value) == rule.format("'my_modul'") + "Did you mean 'my_module'?"
    assert "is_here" not in sys.modules


def test_a_refusal_gives_one_line_for_all_that_is_wanted(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the modules that were named already; and none for what naming does not allow."""
    (tmp_path / "other.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    config = read_config(copied)
    layer = {"_target_": "theirs.layers.Layer"}
    write_config(copied, {**config, "model": {"_target_": "mine.Net", "a": layer}, "data": {"_target_": "mine.data.D"}})
    line = f'keepbest.open_run("{copied}", modules=["other", "mine", "theirs"])'
    with pytest.raises(ConfigError, match="If you trust that code: ") as caught:
        keepbest.open_run(copied, modules=["other"]).load_model()
    assert line in str(caught.value)
    write_config(copied, {**config, "model": {"_target_": "os.system"}})
    with pytest.raises(ConfigError, match="If you trust whoever made the run with everything") as caught:
        keepbest.open_run(copied).load_model()
    assert f'keepbest.open_run("{copied}", trust=True)' in str(caught.value)
    assert "modules=" not in str(caught.value)


@pytest.mark.parametrize("modules", ["my_module", [""], [5]], ids=repr)
def test_modules_are_a_list_of_names(honest_run: Path, modules: Any) -> None:
    with pytest.raises(ConfigError, match=r"modules must be a list of names, got .* Write it as modules=\[\"my_module"):
        keepbest.open_run(honest_run, modules=modules)


def test_trust_opens_a_record_that_was_edited_and_a_best_outside(copied: Path) -> None:
    """The owner's own doing; the weights are still compared with their hash, and still not unpickled."""
    (copied / "checkpoints").rename(copied.parent / "kept")
    text = (copied / "run.json").read_text().replace('"checkpoints/best.ckpt"', '"../kept/best.ckpt"')
    (copied / "run.json").write_text(text)
    with pytest.raises(KeepbestError, match="checksum"):
        keepbest.open_run(copied)
    open_all(copied, trust=True)
    (copied.parent / "kept" / "best.ckpt").write_bytes(pickle.dumps({}))
    with pytest.raises(KeepbestError, match=r"recorded as [0-9a-f]{64}, is [0-9a-f]{64}"):
        keepbest.open_run(copied, trust=True).load_model()


def test_trust_never_unpickles(copied: Path, hit: Path, replace_checkpoint: Callable[[Path, bytes], None]) -> None:
    replace_checkpoint(copied, saved({"state_dict": {}, "x": shell(hit)}))
    with watched(copied, hit), pytest.raises(KeepbestError, match=ONLY_PLAIN):
        keepbest.open_run(copied, trust=True).load_model()


HONEST: dict[str, dict[str, Any]] = {
    "an optimizer and a scheduler": {
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1},
        "scheduler": {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "_partial_": True},
    },
    "torch's own module for Adam": {"optimizer": {"_target_": "torch.optim.adam.Adam", "_partial_": True}},
}


@pytest.mark.parametrize("parts", HONEST.values(), ids=HONEST)
def test_what_honest_configs_hold_is_admitted(copied: Path, hit: Path, parts: dict[str, Any]) -> None:
    config = read_config(copied)
    write_config(copied, {**config, "model": {**config["model"], **parts}})
    with watched(copied, hit):
        open_all(copied)
