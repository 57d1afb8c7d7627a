"""What a replay of a million policies over a thousand checks costs, beside `StoppingPolicy` check by check.

    python benchmarks/replay.py
    python benchmarks/replay.py --curve smooth

The grid is 1,000 patiences times 1,000 values of min_delta; it is replayed, and the cheapest policy with little regret
is found. The peer is measured on a sample of the policies in the same run, stopping where they stop, and scaled up to
all of them: `seconds_for_all_extrapolated`. Each policy of the sample must agree. `gigabytes` is the largest memory of
the process after the replay, with Python and NumPy. A noisy curve has few improvements; on a smooth one every check is
one, which is the most work.

Prints JSON. The exit status is 1 when the replay takes 2 seconds or 1 GB, or more.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import keepbest

MOST_SECONDS, MOST_GIGABYTES = 2.0, 1.0
CHECKS, PATIENCES, MIN_DELTAS = 1000, 1000, 1000


def curve(kind: str) -> NDArray[np.float32]:
    """Return the values of a training."""
    smooth = np.exp(-np.arange(CHECKS) / (CHECKS / 4))
    noise = np.random.default_rng(0).normal(0, 0.02, CHECKS)
    return (smooth + (noise if kind == "noisy" else 0)).astype(np.float32)


def step_by_step(policy: keepbest.StoppingPolicy, values: NDArray[np.float32]) -> int | None:
    """Return the epoch at which a policy stops."""
    state = policy.start()
    return next((epoch for epoch, value in enumerate(values) if state.update(value, epoch).stop), None)


def measure(kind: str, sample: int) -> dict[str, Any]:
    """Return both costs and their ratio."""
    values = curve(kind)
    keepbest.replay(values[:10], patience=[1, 2], min_delta=[0, 0.1], mode="min").recommend()  # warms up
    started = time.perf_counter()
    replay = keepbest.replay(
        values, patience=np.arange(1, PATIENCES + 1), min_delta=np.linspace(0, 0.2, MIN_DELTAS), mode="min"
    )
    replay.recommend(0.01)
    seconds = time.perf_counter() - started
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    policies = np.random.default_rng(1).choice(replay.grid.size, sample, replace=False)
    started = time.perf_counter()
    stops = [step_by_step(replay.grid.policy(int(number)), values) for number in policies]
    peer = time.perf_counter() - started
    found = replay.outcomes[0].stopped_epoch.ravel()[policies]
    if [None if np.isnan(epoch) else int(epoch) for epoch in found] != stops:
        raise SystemExit("replay and StoppingPolicy disagree")
    whole = peer / sample * replay.grid.size
    return {
        "curve": kind,
        "policies": replay.grid.size,
        "checks": CHECKS,
        "replay": {"seconds": round(seconds, 3), "gigabytes": round(gigabytes, 3)},
        "step by step": {
            "policies_measured": sample,
            "seconds_measured": round(peer, 3),
            "seconds_for_all_extrapolated": round(whole, 1),
        },
        "times_faster": round(whole / seconds),
        "limits": {"seconds": MOST_SECONDS, "gigabytes": MOST_GIGABYTES},
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curve", choices=("noisy", "smooth"), default="noisy")
    parser.add_argument("--sample", type=int, default=500, help="policies that the peer watches")
    options = parser.parse_args()
    figures = measure(options.curve, options.sample)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    cost = figures["replay"]
    return 0 if cost["seconds"] < MOST_SECONDS and cost["gigabytes"] < MOST_GIGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
