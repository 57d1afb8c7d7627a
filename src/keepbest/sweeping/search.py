"""A search: a sweep whose jobs Optuna asks for, and is told the results of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keepbest.errors import ConfigError
from keepbest.records.run_record import Objective, RunRecord, RunStatus
from keepbest.sweeping.search_sampler import SearchSampler
from keepbest.sweeping.settings import DIRECTIONS
from keepbest.sweeping.study_storage import open_storage

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial, TrialState

    from keepbest.sweeping.search_space import SearchSpace
    from keepbest.sweeping.settings import SearchSettings
    from keepbest.sweeping.sweep_run import SweepRun

_ABOUT, _SWEEP, _OVERRIDES = "keepbest", "sweep", "overrides"  # attributes of the study, of a trial
_IN_WORDS = {"COMPLETE": "completed", "PRUNED": "diverged", "FAIL": "failed", "RUNNING": "unfinished"}


@dataclass(frozen=True)
class Asked:
    """A trial, and the job that it stands for."""

    number: int
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class BestTrial:
    """The best of the completed trials.

    Args:
        number: in the study.
        job: the number of its job.
        overrides: its values of what is searched.
    """

    number: int
    job: int
    overrides: Sequence[str]


class Search:
    """The trials of one sweep directory.

    Args:
        sweep: runs the jobs.
        space: what is searched.
        settings: of the search.

    Attributes:
        space: what is searched.
        settings: of the search.
        objective: what is compared.
        ended_early: why fewer trials were asked for than wanted; None where they were not.

    Raises:
        ConfigError: where Optuna is not installed, or for settings that cannot work.
    """

    def __init__(self, sweep: SweepRun, space: SearchSpace, settings: SearchSettings) -> None:
        _require_optuna()
        self.objective: Objective = sweep.objective_of(space.example())
        self.ended_early: str | None = None
        settings.require_direction(self.objective.mode)
        self._sweep, self.space, self.settings = sweep, space, settings
        self._failed: set[tuple[str, ...]] = set()
        self._study: Study
        self._sampler = SearchSampler(settings.sampler, space)

    @property
    def n_trials(self) -> int:
        """How many trials there will be; a grid has no more than points."""
        return min(self.settings.n_trials, self._sampler.most_trials or self.settings.n_trials)

    @property
    def sampler_name(self) -> str:
        """The class of the sampler."""
        return type(self._sampler.after(0)).__name__

    def batches(self) -> Iterator[list[list[str]]]:
        """Yield the overrides of the next jobs; when it goes on, these were run, and their trials are told.

        Trials that an earlier command left running come first. One whose job has its result by now is told it; another
        job goes on from its last checkpoint.

        Raises:
            ConfigError: for a study that belongs to another search.
        """
        self._sweep.directory.mkdir(parents=True, exist_ok=True)
        self._study = self._open()
        for batch in self._rounds():
            yield [list(trial.overrides) for trial in batch]
            self._tell_all(batch)
            if self.ended_early:
                return

    def best(self) -> BestTrial | None:
        """Return the best of the completed trials, once the batches were run; of equals that of the first job."""
        from optuna.trial import TrialState

        found = [trial for trial in self._trials() if trial.state == TrialState.COMPLETE]
        sign = 1 if self.objective.mode == "min" else -1
        jobs = {trial.number: self._sweep.number_of(trial.user_attrs[_OVERRIDES]) for trial in found}
        ranked = sorted(found, key=lambda trial: (sign * (trial.value or 0.0), jobs[trial.number], trial.number))
        if not ranked:
            return None
        number, fixed = ranked[0].number, set(self.space.fixed)
        overrides = [text for text in ranked[0].user_attrs[_OVERRIDES] if text not in fixed]
        return BestTrial(number, jobs[number], overrides)

    def counts(self) -> Counter[str]:
        """Return how many trials there are of each state, once the batches were run."""
        return Counter(_IN_WORDS[trial.state.name] for trial in self._trials())

    def _rounds(self) -> Iterator[list[Asked]]:
        size, left = self.settings.n_jobs, self._left_running()
        yield from (left[start : start + size] for start in range(0, len(left), size))
        while batch := self._ask_some():
            yield batch

    def _open(self) -> Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            study_name=self.settings.study_name or self._sweep.id,
            storage=open_storage(self._sweep.directory, self.settings.storage),
            sampler=self._sampler.after(0),
            direction=DIRECTIONS[self.objective.mode],
            load_if_exists=True,
        )
        self._require_same(study)
        return study

    def _require_same(self, study: Study) -> None:
        """Note what the trials of a study have in common, or compare it."""
        about = {
            "monitor": self.objective.monitor,
            "mode": self.objective.mode,
            "parameters": {parameter.key: parameter.kind for parameter in self.space.parameters},
            "fixed": sorted(self.space.fixed),
        }
        known: Mapping[str, Any] = study.user_attrs.get(_ABOUT) or {}
        if not known and not study.get_trials(deepcopy=False):
            study.set_user_attr(_ABOUT, about)
        elif changed := [name for name in about if known.get(name) != about[name]]:
            raise ConfigError(
                f"the trials of a search differ in what is searched only, and study {study.study_name!r} has another "
                f"{changed[0]}: {known.get(changed[0])}",
                received=about[changed[0]],
                remedy="Take another directory with hydra.sweep.dir=..., or another hydra.sweeper.study_name",
            )

    def _trials(self) -> list[FrozenTrial]:
        """Return the trials of this sweep that were asked for; a storage may know others."""
        from optuna.trial import TrialState

        own = self._sweep.id
        trials = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING]
        return [trial for trial in trials if trial.user_attrs.get(_SWEEP, own) == own]

    def _left_running(self) -> list[Asked]:
        from optuna import Trial
        from optuna.trial import TrialState

        self._renew_sampler()
        left = [trial for trial in self._trials() if trial.state == TrialState.RUNNING]
        return [
            Asked(trial.number, tuple(trial.user_attrs[_OVERRIDES]))
            if _OVERRIDES in trial.user_attrs
            else self._suggest(Trial(self._study, trial._trial_id))  # killed before it had all its values
            for trial in left
        ]

    def _ask_some(self) -> list[Asked]:
        left = self.n_trials - len(self._trials())
        self._renew_sampler()
        batch: list[Asked] = []
        while left > 0 and len(batch) < self.settings.n_jobs:
            trial = self._suggest(self._study.ask())
            left -= 1
            if trial.overrides in self._failed:  # it would fail again
                self._tell(trial, _state("FAIL"))
            else:
                batch.append(trial)
        return batch

    def _suggest(self, trial: Trial) -> Asked:
        trial.set_user_attr(_SWEEP, self._sweep.id)
        try:
            overrides = self.space.overrides(trial)
        except ImportError as error:
            raise ConfigError(f"the sampler needs a package that is not installed: {error}") from error
        trial.set_user_attr(_OVERRIDES, overrides)
        asked = Asked(trial.number, tuple(overrides))
        try:
            self._require_objective(self._sweep.objective_of(overrides), overrides)
        except Exception:  # it would be refused again by whoever goes on with the search
            self._tell(asked, _state("FAIL"))
            raise
        return asked

    def _tell_all(self, batch: Sequence[Asked]) -> None:
        records = [self._sweep.record_of(self._sweep.number_of(trial.overrides)) for trial in batch]
        without_result = 0
        for trial, record in zip(batch, records, strict=True):
            state, value = _outcome(record)
            if state is None:
                self.ended_early = f"job {self._sweep.number_of(trial.overrides)} is {record.status.value}"
                continue
            self._tell(trial, state, value)
            if record.status is not RunStatus.COMPLETED:
                without_result += 1
            if state == _state("FAIL"):
                self._failed.add(trial.overrides)
        if without_result and self._sweep.settings.fail_fast:
            self.ended_early = "a job has failed, and hydra.sweeper.fail_fast is set"
        elif without_result > self.settings.max_failure_rate * len(batch):
            self.ended_early = (
                f"{without_result} of {len(batch)} trials have no result, see hydra.sweeper.max_failure_rate"
            )

    def _tell(self, trial: Asked, state: TrialState, value: float | None = None) -> None:
        try:
            self._study.tell(trial.number, value, state=state, skip_if_finished=True)
        except RuntimeError:  # a sampler that has no more to ask for stops the loop that it believes to be in
            if not self._study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                raise
            if len(self._trials()) < self.n_trials:
                self.ended_early = "the sampler has no more to ask for"

    def _require_objective(self, objective: Objective, overrides: Sequence[str]) -> None:
        if objective != self.objective:
            raise ConfigError(
                f"the trials of a search are compared by one objective, {self.objective.monitor}, and the job of "
                f"{' '.join(overrides)} has another",
                received=objective.monitor,
                remedy="Set objective.monitor and objective.mode for all of them",
            )

    def _renew_sampler(self) -> None:
        self._study.sampler = self._sampler.after(len(self._study.get_trials(deepcopy=False)))


def _outcome(record: RunRecord) -> tuple[TrialState | None, float | None]:
    """Return what a trial is told: its state, None for not yet, and its value.

    A training that diverged is told as pruned: it has no result that can be relied on, and a sampler that takes pruned
    trials into account, as TPE does, holds it for worse than every completed one.
    """
    if record.status is RunStatus.COMPLETED and record.best_model_score is not None:
        return _state("COMPLETE"), record.best_model_score
    if record.status is RunStatus.DIVERGED:
        return _state("PRUNED"), None
    return (_state("FAIL") if record.status in (RunStatus.COMPLETED, RunStatus.FAILED) else None), None


def _state(name: str) -> TrialState:
    from optuna.trial import TrialState

    return TrialState[name]


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"hydra/sweeper=optuna needs Optuna, which cannot be imported: {error}",
            remedy="Install it with pip install 'keepbest[optuna]'",
        ) from error
