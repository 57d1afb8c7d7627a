"""What a record says, in the words that a terminal, a notebook and a page show alike."""

from __future__ import annotations

from keepbest.records.run_record import Evaluation, RunRecord

_MOST_EVALUATIONS = 3  # the latest


def facts_of(record: RunRecord) -> dict[str, str]:
    """Return how a run ended: its stop, its best, the verification of that, the tests, later evaluations and the time.

    What a run's maker wrote is in it: whoever shows it escapes it.
    """
    facts = {"stopped": stop_of(record), "best": best_of(record), "verified": verification_of(record)}
    if record.test:
        facts["test"] = "  ".join(f"{name} {value:.4f}" for name, value in record.test.items())
    if record.evaluations:
        facts["evaluated"] = "; ".join(map(evaluation_of, record.evaluations[-_MOST_EVALUATIONS:]))
    if record.timing.seconds is not None:
        facts["time"] = f"{record.timing.seconds:.1f} s"
    return facts


def stop_of(record: RunRecord) -> str:
    """Return why and when the training ended."""
    stopping = record.stopping
    if stopping is None:
        return "no training took place"
    reason = (stopping.reason or "ended").replace("_", " ")
    if stopping.stopped_epoch is not None:
        return f"{reason}, in epoch {stopping.stopped_epoch} after {stopping.checks} checks"
    return f"{reason}, after {record.timing.epochs_trained} epochs and {stopping.checks} checks"


def best_of(record: RunRecord) -> str:
    """Return the best score and its epoch."""
    if record.best_model_score is None:
        return "none was kept"
    where = "" if record.best_epoch is None else f" in epoch {record.best_epoch}"
    return f"{record.objective.monitor} {record.best_model_score:.6g}{where}"


def verification_of(record: RunRecord) -> str:
    """Return whether the restored weights gave the recorded score."""
    verified = record.verified
    if verified is None:
        return "nothing to verify" if record.best_model_score is None else "no, they were not evaluated again"
    if verified.exact:
        return "yes, the restored weights give the same score bit for bit"
    return f"yes, the restored weights give {verified.score:.6g}, {verified.abs_diff:.2g} from the recorded score"


def evaluation_of(evaluation: Evaluation) -> str:
    """Return what the best checkpoint came to when it was evaluated again, and on what."""
    metrics = "  ".join(f"{name} {value:.6g}" for name, value in evaluation.metrics.items())
    return f"{metrics}  on {evaluation.split}{' of other data' if evaluation.data else ''}, {evaluation.finished[:10]}"
