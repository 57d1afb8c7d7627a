# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Read a sweep over patience and min_delta
#
# Four values of each, for three seeds: 48 jobs. Jobs that differ only in when they stop share a training, so three are
# trained, and each job gets exactly what a training of its own would have given. The first cell does so, in less than a
# minute; jobs that have their results are not trained again. On the command line it is `keepbest train
# sweep=patience_min_delta seed=1,2,3`, and another sweep is opened with `keepbest.open_sweep("outputs/sweeps/...")`.

# %%
import os
from pathlib import Path

import keepbest

if Path.cwd().name == "notebooks":
    os.chdir("..")  # where outputs/ is
overrides = ["sweep=patience_min_delta", "seed=1,2,3", "hydra.sweep.dir=outputs/sweeps/patience_min_delta"]
sweep = keepbest.train(overrides, multirun=True)

# %% [markdown]
# ## All jobs, the best first

# %%
sweep.table(best_first=True).drop(columns=["reason", "path"]).head(8)

# %% [markdown]
# ## Over seeds
#
# One seed's best setting may be another's worst: mean and spread say more than the best job.

# %%
sweep.table(aggregate="seed", best_first=True).head(8)

# %%
sweep.heatmap("patience", "min_delta")

# %% [markdown]
# What the settings cost, in epochs:

# %%
sweep.heatmap("patience", "min_delta", "epochs_trained")

# %% [markdown]
# ## The trainings
#
# Each distinct training once, with the places where it ended for its jobs.

# %%
sweep.curves()

# %% [markdown]
# ## The best job
#
# It is a run like any other. Its weights were evaluated again when it ended, as those of each job were.

# %%
best = sweep.best()
best

# %%
assert all(run.record["verified"]["exact"] for run in sweep.runs.values())
best.evaluate("test")
