# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Choose a patience by replay
#
# A recorded history says what any other stopping policy would have done: nothing is trained again. This replays 120
# policies on the three trainings of the sweep of `02_read_sweep`. The first cell trains them if need be.

# %%
# %%capture
import os
from pathlib import Path

import keepbest

if Path.cwd().name == "notebooks":
    os.chdir("..")  # where outputs/ is
overrides = ["sweep=patience_min_delta", "seed=1,2,3", "hydra.sweep.dir=outputs/sweeps/patience_min_delta"]
sweep = keepbest.train(overrides, multirun=True)

# %%
replay = keepbest.replay(sweep, patience=range(1, 31), min_delta=[0, 1e-4, 1e-3, 1e-2])
replay

# %% [markdown]
# ## What patience buys
#
# Regret is how much worse a policy's best score is than that of the full history. A policy that outlasts a history is
# censored: nothing is said of it. Those that no other beats in both epochs and regret are the ones to choose from.

# %%
columns = ["patience", "min_delta", "epochs", "regret", "worst_regret"]
replay.pareto()[columns].round(4)

# %%
replay.plot(max_regret=0.005)

# %% [markdown]
# ## The recommendation
#
# The policy with the fewest epochs among those that lose at most 0.005 on average, as overrides of `keepbest train`.

# %%
choice = replay.recommend(max_regret=0.005)
print(*choice.overrides)
print(f"{choice.epochs:.1f} epochs on average, regret {choice.regret:.2g}, at worst {choice.worst_regret:.2g}")

# %% [markdown]
# ## Is it what the jobs got?
#
# The sweep has trained 16 of these policies, for each seed. Replay says the same as their records.

# %%
found = {
    (outcome.trajectory.name, row.patience, row.min_delta): (row.score, row.best_epoch, row.epochs, row.reason)
    for number, outcome in enumerate(replay.outcomes)
    for row in replay.table(number).itertuples()
}
for job in sweep.table().itertuples():
    run = sweep.runs[job.Index]
    training = keepbest.open_run(run.directory / run.record["trajectory"]["directory"]).record["id"]
    assert found[training, job.patience, job.min_delta] == (job.score, job.best_epoch, job.epochs_trained, job.reason)
f"{len(sweep)} jobs, all equal"
