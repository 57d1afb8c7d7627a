"""What it costs to compose and group the jobs of a sweep: keepbest's way beside that of Hydra's basic sweeper.

    python benchmarks/sweep_composition.py
    python benchmarks/sweep_composition.py --hydra-jobs 1000

A grid over patience and min_delta: all jobs are members of one trajectory. keepbest composes, checks and groups every
one of them. Hydra's basic launcher composes each with `load_sweep_config`, and so does this; its sweeper has composed
each once before, to validate it, which is not counted. By default a hundred of Hydra's compositions are measured and
scaled up to all jobs; `hydra.jobs_measured` says how many it were. Times are CPU times of one process in seconds.

Prints JSON. The exit status is 1 when keepbest's share is not below the limit.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from keepbest.composition.checks import check
from keepbest.composition.search_path import conf_dir
from keepbest.sweeping.fingerprint import MASKED
from keepbest.sweeping.job_composer import JobComposer
from keepbest.sweeping.plan import Training, find_trainings

LIMIT = 1 / 20


def sweep_config() -> tuple[Any, Any]:
    """Return Hydra's config loader, and the config of the sweep as a sweeper gets it."""
    OmegaConf.register_new_resolver("launch_id", lambda: "abc123", replace=True)
    app = Hydra.create_main_hydra2("train", create_config_search_path(str(conf_dir())))
    config = app.compose_config("train", ["hydra.mode=MULTIRUN"], RunMode.MULTIRUN, with_log_configuration=False)
    GlobalHydra.instance().clear()
    return app.config_loader, config


def grid(jobs: int) -> list[list[str]]:
    """Return the overrides of that many jobs, each other ones, as Hydra's sweeper would list them."""
    points = itertools.product(range(1, 41), range(1, jobs // 40 + 2))
    texts = [
        [f"callbacks.early_stopping.patience={a}", f"callbacks.early_stopping.min_delta={b}e-4"] for a, b in points
    ]
    return texts[:jobs]


def by_keepbest(loader: Any, config: Any, overrides: Sequence[list[str]]) -> list[Training]:
    """Compose, check and group all jobs."""
    composer = JobComposer(loader, config, MASKED)
    jobs = [composer.compose(number, texts) for number, texts in enumerate(overrides)]
    for job in jobs:
        check(job.config)
    trainings, _ = find_trainings(Path.cwd(), jobs, share=True, reads_stop=())
    return trainings


def by_hydra(loader: Any, config: Any, overrides: Sequence[list[str]]) -> None:
    """Compose each job once, as the basic launcher does."""
    for texts in overrides:
        loader.load_sweep_config(config, texts)


def measure(jobs: int, hydra_jobs: int) -> dict[str, Any]:
    """Return both costs and their ratio."""
    loader, config = sweep_config()
    overrides = grid(jobs)
    by_hydra(loader, config, overrides[:2])  # warms up both
    started = time.process_time()
    trainings = by_keepbest(loader, config, overrides)
    keepbest = time.process_time() - started
    if [len(training.jobs) for training in trainings] != [jobs]:
        raise SystemExit(f"all jobs must share one training, got {[len(training.jobs) for training in trainings]}")
    started = time.process_time()
    by_hydra(loader, config, overrides[:hydra_jobs])
    hydra = time.process_time() - started
    whole = hydra / hydra_jobs * jobs
    return {
        "jobs": jobs,
        "keepbest": {"cpu_seconds": round(keepbest, 3), "milliseconds_per_job": round(1000 * keepbest / jobs, 3)},
        "hydra": {
            "jobs_measured": hydra_jobs,
            "cpu_seconds_measured": round(hydra, 3),
            "cpu_seconds_for_all_jobs": round(whole, 3),
            "milliseconds_per_job": round(1000 * hydra / hydra_jobs, 3),
        },
        "ratio": round(keepbest / whole, 5),
        "limit": LIMIT,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument(
        "--hydra-jobs", type=int, default=100, help="how many of them Hydra composes, the rest is scaled"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # planning looks whether the jobs' directories exist
        figures = measure(arguments.jobs, min(arguments.hydra_jobs, arguments.jobs))
        os.chdir("/")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["ratio"] < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
