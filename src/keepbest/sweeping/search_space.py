"""What a search may vary, read from Hydra's overrides."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep, Sweep, Transformer

from keepbest.errors import ConfigError

if TYPE_CHECKING:
    from optuna import Trial

Scalar = str | int | float | bool
_LOG = "log"
_FORMS = "choice(a,b), range(1,10), interval(0.1,1), int(interval(1,8)) and tag(log, interval(1e-4,1e-1)) are searched"


@dataclass(frozen=True)
class Choices:
    """A parameter that takes one of some values: `choice(a,b)`, `a,b` or `glob(*)`, also of a config group.

    Args:
        key: as an override names it, with its `+`.
        values: numbers and truth values as they are, anything else in the words of an override.
    """

    key: str
    values: Sequence[Scalar]

    @property
    def kind(self) -> list[Scalar]:
        """What stays the same in all trials of a study."""
        return list(self.values)

    def suggest(self, trial: Trial) -> Scalar:
        """Let the sampler choose."""
        return cast("Scalar", trial.suggest_categorical(self.key, self.values))

    def written(self, value: Scalar) -> str:
        """Return the override that sets a value."""
        return f"{self.key}={value}"

    def in_words(self) -> str:
        """Return the values for people."""
        return ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Numbers:
    """A parameter that takes numbers between two bounds: `interval(a,b)` or `range(a,b,step)`.

    Args:
        key: as an override names it, with its `+`.
        low: the smallest value.
        high: the largest value.
        step: between two values; None for every number in between.
        log: whether the sampler looks at the logarithm.
        values: all of them, as Hydra's own sweep has them; None where they are too many to be listed.
    """

    key: str
    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False
    values: Sequence[int | float] | None = None

    @property
    def kind(self) -> str:
        """What stays the same in all trials of a study; bounds and steps may change."""
        return f"{'whole ' if isinstance(self.low, int) else ''}numbers{' on a logarithmic scale' if self.log else ''}"

    def suggest(self, trial: Trial) -> int | float:
        """Let the sampler choose."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.key, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)

    def written(self, value: int | float) -> str:
        """Return the override that sets a value."""
        if isinstance(value, float) and self.values is not None:  # 0.3, where the sampler has added up 0.30000000000004
            value = min(self.values, key=lambda known: abs(known - value))
        return f"{self.key}={value}"

    def in_words(self) -> str:
        """Return the bounds for people."""
        step = "" if self.step in (None, 1) else f" in steps of {self.step}"
        kind = "whole numbers from " if isinstance(self.low, int) and not step else ""
        return f"{kind}{self.low} to {self.high}{step}{', on a logarithmic scale' if self.log else ''}"


Parameter = Choices | Numbers


@dataclass(frozen=True)
class SearchSpace:
    """The overrides of a search.

    Args:
        entries: by key: a parameter, or the override that is the same in every job.
    """

    entries: Mapping[str, Parameter | str]

    @property
    def parameters(self) -> list[Parameter]:
        """What is searched."""
        return [entry for entry in self.entries.values() if not isinstance(entry, str)]

    @property
    def fixed(self) -> list[str]:
        """The overrides that every job has."""
        return [entry for entry in self.entries.values() if isinstance(entry, str)]

    def overrides(self, trial: Trial) -> list[str]:
        """Return the overrides of a trial's job."""
        return [entry if isinstance(entry, str) else _suggested(entry, trial) for entry in self.entries.values()]

    def example(self) -> list[str]:
        """Return the overrides of one of its jobs."""
        return [entry if isinstance(entry, str) else _first(entry) for entry in self.entries.values()]

    def grid(self) -> dict[str, list[Scalar]]:
        """Return all values of each parameter.

        Raises:
            ConfigError: for a parameter whose values cannot be listed.
        """
        for parameter in self.parameters:
            if parameter.values is None:
                raise ConfigError(
                    "a grid needs parameters whose values can be listed",
                    key=parameter.key,
                    received=parameter.in_words(),
                    remedy="Write choice(...) or range(...), or take another hydra/sweeper/sampler",
                )
        return {parameter.key: list(parameter.values or ()) for parameter in self.parameters}


def read_space(overrides: Iterable[Override]) -> SearchSpace:
    """Return the search space of overrides; of several for one key the last counts.

    Raises:
        ConfigError: for a sweep that cannot be searched, or when there is nothing to search.
    """
    space = SearchSpace({override.get_key_element(): _entry(override) for override in overrides})
    if not space.parameters:
        raise ConfigError("a search needs a parameter to vary", remedy=f"Add one: {_FORMS}")
    for parameter in space.parameters:
        if parameter.key.lstrip("+").partition(".")[0] == "objective":
            raise ConfigError(
                "the trials of a search are compared by one objective", key=parameter.key, received=parameter.in_words()
            )
    return space


def _suggested(parameter: Parameter, trial: Trial) -> str:
    if isinstance(parameter, Choices):
        return parameter.written(parameter.suggest(trial))
    return parameter.written(parameter.suggest(trial))


def _first(parameter: Parameter) -> str:
    if isinstance(parameter, Choices):
        return parameter.written(parameter.values[0])
    return parameter.written(parameter.low)


def _entry(override: Override) -> Parameter | str:
    key, sweep = override.get_key_element(), override.value()
    if not override.is_sweep_override():
        return key if override.is_delete() and sweep is None else f"{key}={override.get_value_element_as_str()}"
    if isinstance(sweep, (ChoiceSweep, Glob)):
        return _choices(override, sweep)
    _require_known_tags(key, sweep)
    if isinstance(sweep, RangeSweep):
        return _range(key, sweep)
    if isinstance(sweep, IntervalSweep):
        return _interval(key, sweep)
    raise ConfigError(f"this sweep cannot be searched; {_FORMS}", key=key, received=override.input_line)


def _choices(override: Override, sweep: ChoiceSweep | Glob) -> Choices:
    key = override.get_key_element()
    if isinstance(sweep, Glob):
        values = [str(name) for name in override.sweep_iterator()]
    else:
        if sweep.tags:
            _refuse("a choice has no scale", key, sorted(sweep.tags))
        values = [_scalar(value) for value in sweep.list]  # a shuffle is left to the sampler
    if not values:
        _refuse("there must be something to choose from", key, override.input_line)
    if len(set(values)) < len(values):
        _refuse("the values to choose from must differ", key, values)
    return Choices(key, tuple(values))


def _scalar(value: Any) -> Any:
    """Return a number or a truth value as it is, and anything else as Hydra writes it."""
    return value if isinstance(value, (int, float)) else Transformer.str(value)


def _require_known_tags(key: str, sweep: Any) -> None:
    if isinstance(sweep, Sweep) and (unknown := sorted(sweep.tags - {_LOG})):
        raise ConfigError("log is the only tag that a search knows", key=key, received=unknown)


def _range(key: str, sweep: RangeSweep) -> Numbers:
    """Return the numbers that Hydra's own sweep has: the upper bound is not one of them."""
    log = _LOG in sweep.tags
    if not sweep.step:
        _refuse("the step of a range must not be 0", key, sweep.step)
    found = sweep.range()
    values: Sequence[int | float] = found if isinstance(found, range) else list(found)
    if not values:
        _refuse("a range must not be empty", key, f"range({sweep.start},{sweep.stop},{sweep.step})")
    if sweep.step < 0:
        values = values[::-1]
    step = abs(sweep.step)
    low, high = values[0], values[-1]
    if isinstance(found, range):
        if log and step != 1:
            _refuse("a range on a logarithmic scale has a step of 1", key, step)
    else:
        if log:
            _refuse("a range on a logarithmic scale is one of whole numbers", key, low, "Write tag(log, interval(...))")
        low, high = float(low), float(Decimal(str(low)) + Decimal(str(step)) * (len(values) - 1))
    _require_bounds(key, low, high, log=log)
    return Numbers(key, low, high, step, log, values)


def _interval(key: str, sweep: IntervalSweep) -> Numbers:
    assert sweep.start is not None
    assert sweep.end is not None
    log = _LOG in sweep.tags
    low, high = sweep.start, sweep.end
    _require_bounds(key, low, high, log=log)
    whole = isinstance(low, int)
    values = range(int(low), int(high) + 1) if whole else None
    return Numbers(key, low, high, 1 if whole else None, log, values)


def _require_bounds(key: str, low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        _refuse("the bounds must be finite, the lower one first", key, [low, high])
    if log and low <= 0:
        _refuse("a logarithmic scale begins above 0", key, low)


def _refuse(rule: str, key: str, received: object, remedy: str | None = None) -> None:
    raise ConfigError(rule, key=key, received=received, remedy=remedy)
