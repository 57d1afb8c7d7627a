"""What the page of a run says."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from keepbest.errors import RecordError
from keepbest.reading.facts import facts_of
from keepbest.reading.opening import opening_line
from keepbest.reading.run import Run
from keepbest.reading.wording import pasted
from keepbest.records.run_record import Environment, RunRecord
from keepbest.reports.metric_panels import MOST_PANELS, Panel, draw_panel, panels_of
from keepbest.reports.page_parts import Attempts, Tile, picture
from keepbest.reports.vector_picture import vector_picture

_MOST_TESTS = 2  # that have a tile each
_PANEL, _NARROW_PANEL = (4.6, 2.7), (3.3, 2.6)  # inches


def run_page(run: Run, shown: Path) -> dict[str, Any]:
    """Return what the template `run.html.j2` shows.

    Args:
        run: an opened run.
        shown: its directory as a person would write it.
    """
    record, attempted = RunRecord.from_dict(run.record), Attempts(run.directory, shown)
    config = attempted(lambda: run.config, "the config")
    return {
        "id": record.id,
        "status": record.status.value,
        "objective": record.objective,
        "tiles": _tiles(record),
        "facts": _facts(run, record),
        "curve": attempted(lambda: _curve(run, record), "the metrics"),
        "panels": attempted(lambda: _panels(run, record), "the metrics"),
        "policy": _policy(record),
        "config": config._replace(content=yaml.safe_dump(config.content, sort_keys=False, allow_unicode=True))
        if config.content is not None
        else config,
        "environment": environment_of(record.environment, record),
        "error": record.error,
        "opening": attempted(lambda: _opening(record, config.content, shown), "the config"),
    }


def environment_of(environment: Environment, record: RunRecord | None = None) -> dict[str, str]:
    """Return what was used, in words; without the directory it was in, which is nobody else's business.

    Args:
        environment: of a run or a sweep.
        record: the run's, for its times and seed.
    """
    found: dict[str, str] = {"command": pasted(environment.argv)}
    if record is not None:
        found |= {"started": _moment(record.timing.started), "finished": _moment(record.timing.finished)}
        found["seed"] = "none" if record.seed is None else str(record.seed)
    if environment.git_sha:
        changes = ", with changes that were not committed" if environment.git_dirty else ""
        found["git"] = f"{environment.git_sha[:12]}{changes}"
    found["host"] = environment.host
    if environment.threads is not None:
        found["threads"] = str(environment.threads)
    return {name: text for name, text in found.items() if text} | environment.versions


def _tiles(record: RunRecord) -> list[Tile]:
    tiles = []
    if record.best_model_score is not None:
        where = "" if record.best_epoch is None else f"in epoch {record.best_epoch}"
        tiles.append(Tile(f"best {record.objective.monitor}", f"{record.best_model_score:.6g}", where))
    if record.timing.epochs_trained is not None:
        tiles.append(Tile("epochs trained", str(record.timing.epochs_trained)))
    tests = sorted((record.test or {}).items()) if record.best_model_score is not None else []
    tiles += [Tile(name, f"{value:.4g}", "on the test split") for name, value in tests[:_MOST_TESTS]]
    if record.timing.seconds is not None:
        tiles.append(Tile("time", *_duration(record.timing.seconds)))
    return tiles


def _facts(run: Run, record: RunRecord) -> dict[str, str]:
    """Return what the record says in words, but for what the tiles have said."""
    facts = facts_of(record, lambda: run.config)
    in_tiles = {
        "best": record.best_model_score is not None,
        "test": record.best_model_score is not None and len(record.test or {}) <= _MOST_TESTS,
        "time": True,
    }
    facts = {name: text for name, text in facts.items() if not in_tiles.get(name, False)}
    shared = record.trajectory
    if shared is not None:
        facts["training"] = f"shared by {shared.members} jobs of its sweep, fingerprint {shared.fingerprint[:16]}"
    best = record.policy_best
    if best is not None and record.best_epoch not in (None, best.epoch):
        facts["accepted"] = f"{best.score:.6g} in epoch {best.epoch}, the last improvement by min_delta"
    return facts


def _policy(record: RunRecord) -> dict[str, str]:
    policy = (record.stopping.policy if record.stopping else None) or {}
    return {name: str(value).lower() for name, value in policy.items() if value is not None and name != "mode"}


def _curve(run: Run, record: RunRecord) -> dict[str, Any]:
    from keepbest.reports.curve import nothing_finite, plot_curve

    checks, monitor = run.checks(), record.objective.monitor
    if not any(math.isfinite(check.value) for check in checks):
        raise RecordError(f"{nothing_finite(monitor)}: there is no curve to draw.")

    def draw(axes: Any) -> None:
        plot_curve(checks, monitor, record, axes)
        axes.set_title("", loc="left")  # the page has said so

    text = f"{monitor} of {len(checks)} checks, with the best one and the stop"
    return picture(vector_picture(draw, "curve", text))


def _panels(run: Run, record: RunRecord) -> dict[str, Any]:
    metrics = run.metrics
    checks = run.checks() if record.objective.monitor in metrics else []
    panels = panels_of(metrics, checks, record)
    drawn = [_drawn(panel, f"panel-{place}") for place, panel in enumerate(panels[:MOST_PANELS])]
    return {"svgs": drawn, "more": len(panels) - len(drawn)}


def _drawn(panel: Panel, name: str) -> Markup:
    text = f"{panel.name} over {panel.unit}s"
    return vector_picture(partial(draw_panel, panel), name, text, size=_PANEL, narrow=_NARROW_PANEL)


def _opening(record: RunRecord, config: dict[str, Any] | None, shown: Path) -> str | None:
    """Return the line that opens the best model; None without one."""
    if record.best_model_path is None or config is None:
        return None
    return f"model = {opening_line(shown, config)}.load_model()"


def _moment(text: str | None) -> str:
    """Return a time of a record as people write it."""
    return "" if text is None else text.replace("T", " ", 1).replace("+00:00", " UTC")[:40]


def _duration(seconds: float) -> tuple[str, str]:
    """Return a duration and its unit."""
    if seconds < 120:
        return f"{seconds:.1f}", "seconds"
    return (f"{seconds / 60:.1f}", "minutes") if seconds < 7200 else (f"{seconds / 3600:.1f}", "hours")
