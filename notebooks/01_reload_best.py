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
# This opens the newest run under `outputs/runs`: `make train` or `keepbest train` leave one there, and where there is
# none, the next cell trains it in some seconds. The pictures at the end are those of the digits.

# %%
import os
from pathlib import Path

import keepbest

if Path.cwd().name == "notebooks":
    os.chdir("..")  # where outputs/ is
has_run = any(Path("outputs/runs").glob("*/run.json"))
run = keepbest.latest_run() if has_run else keepbest.train()
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
figure, places = plt.subplots(2, 5, figsize=(9, 4.4), layout="constrained")
for place in places.flat:
    place.axis("off")
for place, i in zip(places.flat, surest, strict=False):
    place.imshow(images[i, 0], cmap="gray_r")
    place.set_title(f"{labels[i]}, taken for {predicted[i]}\n{confidence[i]:.0%} sure", fontsize=9)
