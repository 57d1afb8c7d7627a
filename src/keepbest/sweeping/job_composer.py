"""The configs of a sweep's jobs, as Hydra composes them, at a fraction of its price."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.utils import env_override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from keepbest.composition.resolved import PlainConfig, resolve
from keepbest.sweeping.chunked_yaml import ChunkedYaml, to_yaml
from keepbest.sweeping.interpolations import is_fixed, leads_elsewhere, may_read

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

_NODE = "callbacks.early_stopping"
_NUMBER = "${hydra.job.num}"
_MOST_BASES = 1000  # of about a quarter of a megabyte each
Values = Mapping[str, Any]


@dataclass(frozen=True)
class ComposedJob:
    """A job of a sweep, before it runs.

    Args:
        number: its number in the sweep.
        overrides: as Hydra lists them.
        config: resolved.
        directory: where it runs, absolute.
        environment: the environment variables that Hydra sets for it (`hydra.job.env_set` and `env_copy`).
    """

    number: int
    overrides: tuple[str, ...]
    config: PlainConfig
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class JobComposer:
    """Composes jobs; those that differ only in settings of the stopping policy are composed once and patched.

    A patch goes through OmegaConf, so that a typed node accepts and refuses what it would of Hydra. Where something in
    the config may read a patched value, or the job's number, the patched config is resolved anew. Where an override
    may write what another one writes, the job is composed by Hydra itself.

    Args:
        loader: Hydra's.
        master: the config of the sweep, as Hydra hands it to sweepers.
        patched: the settings of `callbacks.early_stopping` that may be patched.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig, patched: frozenset[str]) -> None:
        self._loader, self._master = loader, master
        self._patched = frozenset(f"{_NODE}.{name}" for name in patched)
        self._parser = OverridesParser.create()
        self._parsed: dict[str, Override] = {}
        self._bases: dict[tuple[str, ...], _Base] = {}

    def compose(self, number: int, overrides: Sequence[str]) -> ComposedJob:
        """Return a job.

        Raises:
            ConfigError: for a value that is missing, or an interpolation that leads nowhere.
            Exception: what Hydra raises for overrides that do not fit the config.
        """
        return self._turned_to(number, overrides).job(tuple(overrides))

    def hydra_files(self, job: ComposedJob) -> dict[str, str]:
        """Return the texts of the files in `.hydra/`, by name, as Hydra writes them."""
        return self._turned_to(job.number, job.overrides).texts(job.directory)

    def _turned_to(self, number: int, overrides: Sequence[str]) -> _Base:
        """Return the base of a job, its config changed to that of the job."""
        parsed = [self._parse(text) for text in overrides]
        patches = {override.key_or_group: override.value() for override in parsed if self._is_patch(override)}
        if any(_touches_node(override) for override in parsed if not self._is_patch(override)):
            patches = {}
        base = self._base(parsed, patches)
        try:
            base.turn_to(number, parsed, {key: patches[key] for key in base.patched})
        except OmegaConfBaseException:  # Hydra says it in its own words, or knows how to do it
            base = self._base(parsed, {})
            base.turn_to(number, parsed, {})
        return base

    def _base(self, parsed: Sequence[Override], patches: Values) -> _Base:
        """Return what is composed already for jobs of the same other overrides, or compose it."""
        key = _key(parsed, patches)
        if key not in self._bases:
            config = self._loader.load_sweep_config(self._master, [str(override.input_line) for override in parsed])
            if any(leads_elsewhere(config, override.key_or_group) for override in parsed):
                patches, key = {}, _key(parsed, {})
            if len(self._bases) >= _MOST_BASES:
                del self._bases[next(iter(self._bases))]
            self._bases[key] = _Base(config, sorted(patches))
        return self._bases[key]

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            (self._parsed[text],) = self._parser.parse_overrides([text])
        return self._parsed[text]

    def _is_patch(self, override: Override) -> bool:
        plain = override.type == OverrideType.CHANGE and override.package is None
        if not plain or override.key_or_group not in self._patched:
            return False
        value = override.value()
        if isinstance(value, str):
            return "$" not in value and value != "???"
        return value is None or isinstance(value, (bool, int, float))


class _Base:
    """One composed config, which is turned from one job to the next.

    Args:
        config: as Hydra composed it for one of the jobs.
        patched: the keys in which the others differ from it.
    """

    def __init__(self, config: DictConfig, patched: Sequence[str]) -> None:
        self.patched = tuple(patched)
        self._config, self._task = config, _without_hydra(config)
        self._cache = copy.deepcopy(OmegaConf.get_cache(config))
        self._naming: Any = OmegaConf.to_container(config.hydra.job.config.override_dirname, resolve=True)
        self._view: Any = None  # what `${hydra:...}` reads; a copy of Hydra's part of the config
        self._identity: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._depends = may_read(self._task, patched) or not is_fixed(config.hydra.job.env_set)
        sweep = _plain(config.hydra.sweep)
        is_numbered = sweep["subdir"] == _NUMBER and is_fixed(sweep["dir"])
        self._sweep_dir: Path | None = _absolute(str(config.hydra.sweep.dir)) if is_numbered else None
        self._known: tuple[PlainConfig, dict[str, str]] | None = None
        self._task_yaml = ChunkedYaml(_plain(self._task))
        self._hydra_yaml = ChunkedYaml({"hydra": _plain(config.hydra)})

    def turn_to(self, number: int, parsed: Sequence[Override], values: Values) -> None:
        """Change the config to that of a job.

        Raises:
            OmegaConfBaseException: for a value that a node does not take.
        """
        for key, value in values.items():
            OmegaConf.update(self._task, key, value)
        node = _plain(OmegaConf.select(self._task, _NODE)) if values else {}
        self._values = {key: node[key.rpartition(".")[2]] for key in values}
        own = [override for override in parsed if not override.is_hydra_override()]
        self._identity = {
            "overrides.task": [override.input_line for override in own],
            "job.num": number,
            "job.id": str(number),
            "job.override_dirname": get_overrides_dirname(own, **self._naming),
        }

    def job(self, overrides: tuple[str, ...]) -> ComposedJob:
        """Return the job that it is turned to."""
        speaks = self._depends or self._sweep_dir is None
        with self._as_hydra_config() if speaks else nullcontext():
            directory = self._directory()
            config, environment = self._resolved(directory)
        return ComposedJob(self._identity["job.num"], overrides, config, directory, environment)

    def _directory(self) -> Path:
        """Return where the job runs, as Hydra would choose it."""
        if self._sweep_dir is not None:
            return self._sweep_dir / str(self._identity["job.num"])
        sweep_dir, subdir = (str(OmegaConf.select(self._config, f"hydra.sweep.{key}")) for key in ("dir", "subdir"))
        return _absolute(sweep_dir, subdir)

    def _resolved(self, directory: Path) -> tuple[PlainConfig, dict[str, str]]:
        """Return the job's config and environment."""
        if self._depends:
            self._note({"runtime.output_dir": str(directory)})
            return self._resolve()
        if self._known is None:
            self._known = self._resolve()
        config, environment = self._known
        if not self.patched:
            return config, environment
        callbacks = config["callbacks"]
        changed = {key.rpartition(".")[2]: value for key, value in self._values.items()}
        early_stopping = {**callbacks["early_stopping"], **changed}
        return {**config, "callbacks": {**callbacks, "early_stopping": early_stopping}}, environment

    def _resolve(self) -> tuple[PlainConfig, dict[str, str]]:
        OmegaConf.copy_cache(self._config, self._task)
        environment = {str(name): str(value) for name, value in self._config.hydra.job.env_set.items()}
        with env_override(environment):
            return resolve(self._task), environment

    @contextmanager
    def _as_hydra_config(self) -> Iterator[None]:
        """Let `${hydra:...}` speak of the job."""
        instance = HydraConfig.instance()
        before = instance.cfg
        OmegaConf.set_cache(self._config, self._cache)  # a resolver that answers once does so once in each job
        for key, value in self._values.items():
            OmegaConf.update(self._config, key, value)
        try:
            if self._view is None:
                instance.set_config(self._config)
                self._view = instance.cfg
            instance.cfg = self._view
            self._note(self._identity)
            yield
        finally:
            instance.cfg = before

    def _note(self, values: Values) -> None:
        """Put values into Hydra's part of the config, and into the copy of it."""
        for hydra in (self._config.hydra, self._view.hydra):
            with read_write(hydra), open_dict(hydra):
                for key, value in values.items():
                    OmegaConf.update(hydra, key, value, merge=False)

    def texts(self, directory: Path) -> dict[str, str]:
        """Return the files of `.hydra/` for the job that it is turned to."""
        own = {**self._identity, "runtime.output_dir": str(directory)}
        return {
            "config": self._task_yaml.text({tuple(key.split(".")): value for key, value in self._values.items()}),
            "hydra": self._hydra_yaml.text({("hydra", *key.split(".")): value for key, value in own.items()}),
            "overrides": to_yaml(own["overrides.task"]),
        }


def _key(parsed: Sequence[Override], patches: Values) -> tuple[str, ...]:
    """Return what jobs of one base have in common: their other overrides, and which keys are patched."""
    rest = (str(override.input_line) for override in parsed if override.key_or_group not in patches)
    return (*rest, "", *sorted(patches))


def _plain(config: DictConfig) -> dict[str, Any]:
    return cast("dict[str, Any]", OmegaConf.to_container(config, resolve=False, enum_to_str=True))


def _absolute(*parts: str) -> Path:
    return Path(os.path.normpath(Path(*parts).absolute()))


def _without_hydra(config: DictConfig) -> DictConfig:
    task = copy.deepcopy(config)
    with read_write(task), open_dict(task):
        del task["hydra"]
    return task


def _touches_node(override: Override) -> bool:
    """Return whether an override that is no patch changes what patches change, so that their order matters."""
    key = override.key_or_group
    return f"{key}.".startswith(f"{_NODE}.") or (key == "callbacks" and not isinstance(override.value(), str))
