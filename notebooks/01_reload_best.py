# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Reload the best checkpoint, and look at its mistakes
#
# The next cell trains on scikit-learn's digits, in some seconds, where that has not been done. With a run of your own
# it is `keepbest.open_run("outputs/runs/...")`, or `keepbest.latest_run()`.

# %%
# %%capture
import os
from pathlib import Path

import keepbest

if Path.cwd().name == "notebooks":
    os.chdir("..")  # where outputs/ is
place = Path("outputs/runs/digits")
is_done = (place / "run.json").exists() and keepbest.open_run(place).record["status"] == "completed"
run = keepbest.open_run(place) if is_done else keepbest.train([f"hydra.run.dir={place}"])

# %%
run

# %% [markdown]
# ## What happened
#
# The metric that decided, the best epoch, and why the training stopped. `run.metrics` is the whole table.

# %%
run.plot()

# %%
run.metrics.tail(3)

# %% [markdown]
# ## The best model, in one line
#
# The checkpoint is compared with its recorded hash, the weights go into a module made from the run's own config, and it
# comes in eval mode. Evaluated again, it gives the recorded scores.

# %%
model = run.load_model()
model

# %%
again = run.evaluate("test")
assert again == run.record["test"]
again

# %% [markdown]
# ## Its mistakes
#
# The run's data module gives the test data back, split as it was.

# %%
import torch

images, labels = (torch.cat(parts) for parts in zip(*run.datamodule().test_dataloader(), strict=True))
confidence, predicted = run.predict(images).softmax(dim=1).max(dim=1)
wrong = (predicted != labels).nonzero().flatten()
f"{len(wrong)} of {len(labels)} are wrong, an accuracy of {1 - len(wrong) / len(labels):.4f}"

# %%
import matplotlib.pyplot as plt

surest = wrong[confidence[wrong].argsort(descending=True)][:10]
figure, axes = plt.subplots(2, 5, figsize=(9, 4.4), layout="constrained")
for cell in axes.flat:
    cell.axis("off")
for cell, i in zip(axes.flat, surest, strict=False):
    cell.imshow(images[i, 0], cmap="gray_r")
    cell.set_title(f"{labels[i]}, taken for {predicted[i]}\n{confidence[i]:.0%} sure", fontsize=9)
