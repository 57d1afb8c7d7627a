"""What a record says, in the words that a terminal, a notebook and a page show alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from keepbest.errors import KeepbestError
from keepbest.reading.differences import ABSENT, differences
from keepbest.reading.repeated_score import is_another_score
from keepbest.reading.wording import counted
from keepbest.records.run_record import Evaluation, RunRecord, RunStatus, Stopping
from keepbest.stopping.reasons import StopReason, in_words

_MOST_EVALUATIONS = 3  # the latest
_MOST_SETTINGS, _LONGEST_VALUE = 8, 60
_TO_COME = {RunStatus.PENDING: "not yet, it has not begun", RunStatus.RUNNING: "not yet, it is running"}
_CUT_SHORT = {RunStatus.INTERRUPTED: "interrupted before it ended", RunStatus.FAILED: "failed before it ended"}


def facts_of(record: RunRecord, config: Callable[[], Mapping[str, Any]] | None = None) -> dict[str, str]:
    """Return how a run ended: its stop, its best, the verification of that, the tests, later evaluations and the time.

    An evaluation has a line of its own, so `evaluated` may have several; those of a best that was replaced since, when
    the run went on, are left out. What a run's maker wrote is in it: whoever shows it escapes it.

    Args:
        record: of the run.
        config: returns its config, and is called where other data were evaluated: of these are told the settings that
            are not the run's own; all, where there is no config.
    """
    facts = {"stopped": stop_of(record), "best": best_of(record), "verified": verification_of(record)}
    if record.test:
        whose = "" if record.best_model_score is not None else "  of the weights it ended with"
        facts["test"] = "  ".join(f"{name} {value:.4f}" for name, value in record.test.items()) + whose
    present = [evaluation for evaluation in record.evaluations if evaluation.best_sha256 == record.best_sha256]
    if present:
        facts["evaluated"] = "\n".join(_evaluations(present, record, config))
    if record.timing.seconds is not None:
        facts["time"] = f"{record.timing.seconds:.1f} s"
    return facts


def _evaluations(
    present: list[Evaluation], record: RunRecord, config: Callable[[], Mapping[str, Any]] | None
) -> list[str]:
    shown = present[-_MOST_EVALUATIONS:]
    has_others = config is not None and any(evaluation.data is not None for evaluation in shown)
    own = _own_data(config) if config is not None and has_others else None
    lines = [evaluation_of(evaluation, record, own) for evaluation in shown]
    earlier = len(present) - len(shown)
    return [*lines, f"and {earlier} earlier, in run.json"] if earlier else lines


def _own_data(config: Callable[[], Mapping[str, Any]]) -> object:
    try:
        return config().get("data")
    except KeepbestError:  # whoever shows the config says so
        return None


def stop_of(record: RunRecord) -> str:
    """Return why and when the training ended, or that it has not."""
    if record.status in _TO_COME:
        return _TO_COME[record.status]
    stopping, epochs = record.stopping, record.timing.epochs_trained
    trained = [] if epochs is None else [counted(epochs, "epoch")]
    if stopping is None:
        # without a time of its end it was killed, and the epochs are those of an earlier attempt
        after = f", after {trained[0]}" if trained and record.timing.finished else ""
        if _is_shared(record):
            return f"as far as its jobs needed{after}"
        return f"{_CUT_SHORT[record.status]}{after}" if record.status in _CUT_SHORT else "no training took place"
    reason = in_words(stopping.reason or "ended")
    checks = counted(stopping.checks, "check")
    if stopping.stopped_epoch is not None:
        text = f"{reason}, in epoch {stopping.stopped_epoch} after {checks}"
    else:
        text = f"{reason}, after {' and '.join([*trained, checks])}"
    return text + (_why_diverged(record, stopping) if record.status is RunStatus.DIVERGED else "")


def _why_diverged(record: RunRecord, stopping: Stopping) -> str:
    if stopping.message:
        return f": {one_line(stopping.message)}"
    if stopping.reason == StopReason.NON_FINITE.value:
        return ""
    return f": {record.objective.monitor} was not finite at the end"


def _is_shared(record: RunRecord) -> bool:
    """Return whether it is the training that several jobs of a sweep shared: none of their stops is its own."""
    return record.status is RunStatus.COMPLETED and record.stopping is None and bool(record.timing.epochs_trained)


def best_of(record: RunRecord) -> str:
    """Return the best score and its epoch."""
    if record.best_model_score is None:
        return "none yet" if record.status in _TO_COME else "none was kept"
    where = "" if record.best_epoch is None else f" in epoch {record.best_epoch}"
    return f"{record.objective.monitor} {record.best_model_score:.6g}{where}"


def verification_of(record: RunRecord) -> str:
    """Return whether the restored weights gave the recorded score."""
    verified = record.verified
    if record.status in _TO_COME:
        return "not yet"
    if verified is not None:
        if verified.exact:
            return "yes, the restored weights give the same score bit for bit"
        return f"yes, the restored weights give {verified.score:.6g}, {verified.abs_diff:.2g} from the recorded score"
    if record.error is not None and record.error.type == "VerificationError":
        return "no, the restored weights gave another score"
    if record.status in _CUT_SHORT:
        return "no, the run did not get so far"
    if record.best_model_score is None:
        return "nothing to verify"
    return "each job's weights, in its own record" if _is_shared(record) else "no, they were not evaluated again"


def evaluation_of(evaluation: Evaluation, record: RunRecord, own: object = None) -> str:
    """Return in one line what the best checkpoint came to when it was evaluated again, and on what.

    Args:
        evaluation: an entry of the record.
        record: of the run.
        own: see `data_of`.
    """
    other = "" if evaluation.data is None else f" of {data_of(evaluation, own)}"
    when = evaluation.finished[:16].replace("T", " ")
    doubt = ", not the recorded score" if is_another_score(evaluation, record) else ""
    return one_line(f"{metrics_of(evaluation)}  on {evaluation.split}{other}, {when}{doubt}")


def metrics_of(evaluation: Evaluation) -> str:
    """Return the metrics, and over how many samples they are."""
    metrics = "  ".join(f"{name} {value:.6g}" for name, value in evaluation.metrics.items()) or "nothing"
    counts = [] if evaluation.samples is None else [counted(evaluation.samples, "sample")]
    counts += [f"{evaluation.overlap} of them trained on"] if evaluation.overlap else []
    return f"{metrics} ({', '.join(counts)})" if counts else metrics


def data_of(evaluation: Evaluation, own: object = None) -> str:
    """Return which data other than the run's own were evaluated: their class, and their settings that differ.

    Args:
        evaluation: of such data.
        own: the run's own data config; what is no mapping stands for none.
    """
    data = evaluation.data or {}
    found = differences([data, own if isinstance(own, Mapping) else {}])
    settings = [
        f"{key}={_shown(value)}"
        for key, (value, other) in found.items()
        if key != "_target_" and value is not ABSENT and not (value is None and other is ABSENT)
    ]
    more = len(settings) - _MOST_SETTINGS
    rest = [f"and {more} more"] if more > 0 else []
    return one_line(" ".join([str(data.get("_target_")), *settings[:_MOST_SETTINGS], *rest]))


def one_line(text: str) -> str:
    """Return a text with its line ends as Python writes them."""
    return text.replace("\n", r"\n")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
