"""What a record says, in the words that a terminal, a notebook and a page show alike."""

from __future__ import annotations

from keepbest.records.run_record import Evaluation, RunRecord, RunStatus

_MOST_EVALUATIONS = 3  # the latest
_TO_COME = {RunStatus.PENDING: "not yet, it has not begun", RunStatus.RUNNING: "not yet, it is running"}
_CUT_SHORT = {RunStatus.INTERRUPTED: "interrupted before it ended", RunStatus.FAILED: "failed before it ended"}


def facts_of(record: RunRecord) -> dict[str, str]:
    """Return how a run ended: its stop, its best, the verification of that, the tests, later evaluations and the time.

    An evaluation has a line of its own, so `evaluated` may have several; those of a best that was replaced since, when
    the run went on, are left out. What a run's maker wrote is in it: whoever shows it escapes it.
    """
    facts = {"stopped": stop_of(record), "best": best_of(record), "verified": verification_of(record)}
    if record.test:
        facts["test"] = "  ".join(f"{name} {value:.4f}" for name, value in record.test.items())
    present = [evaluation for evaluation in record.evaluations if evaluation.best_sha256 == record.best_sha256]
    if present:
        facts["evaluated"] = "\n".join(map(evaluation_of, present[-_MOST_EVALUATIONS:]))
    if record.timing.seconds is not None:
        facts["time"] = f"{record.timing.seconds:.1f} s"
    return facts


def stop_of(record: RunRecord) -> str:
    """Return why and when the training ended, or that it has not."""
    if record.status in _TO_COME:
        return _TO_COME[record.status]
    stopping, epochs = record.stopping, record.timing.epochs_trained
    trained = [] if epochs is None else [_counted(epochs, "epoch")]
    if stopping is None:
        # without a time of its end it was killed, and the epochs are those of an earlier attempt
        after = f", after {trained[0]}" if trained and record.timing.finished else ""
        return f"{_CUT_SHORT[record.status]}{after}" if record.status in _CUT_SHORT else "no training took place"
    reason = (stopping.reason or "ended").replace("_", " ")
    checks = _counted(stopping.checks, "check")
    if stopping.stopped_epoch is not None:
        return f"{reason}, in epoch {stopping.stopped_epoch} after {checks}"
    return f"{reason}, after {' and '.join([*trained, checks])}"


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
    return "nothing to verify" if record.best_model_score is None else "no, they were not evaluated again"


def evaluation_of(evaluation: Evaluation) -> str:
    """Return in one line what the best checkpoint came to when it was evaluated again, and on what."""
    other = "" if evaluation.data is None else f" of {data_of(evaluation)}"
    text = f"{metrics_of(evaluation)}  on {evaluation.split}{other}, {evaluation.finished[:10]}"
    return text.replace("\n", r"\n")


def metrics_of(evaluation: Evaluation) -> str:
    """Return the metrics, and over how many samples they are."""
    metrics = "  ".join(f"{name} {value:.6g}" for name, value in evaluation.metrics.items()) or "nothing"
    return metrics if evaluation.samples is None else f"{metrics} ({_counted(evaluation.samples, 'sample')})"


def data_of(evaluation: Evaluation) -> str:
    """Return which data other than the run's own were evaluated: their class, and their file where they name one."""
    data = evaluation.data or {}
    return " ".join(str(data[key]) for key in ("_target_", "path") if data.get(key) is not None)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
