"""What a run's config makes: its model, with the best weights, and its data module."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.errors import ConfigError, DataError, IntegrityError
from keepbest.reading.named_modules import require_found
from keepbest.reading.telling import telling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning.pytorch import Callback, LightningDataModule, LightningModule

    from keepbest.composition.allowance import Allowance
    from keepbest.composition.resolved import PlainConfig

_FROM_LIBRARIES = ("lightning.", "pytorch_lightning.", "keepbest.")


class RunModel:
    """Makes what a run's config describes, after each class that it names was looked at.

    Args:
        directory: the run's.
        config: resolved.
        modules: whose classes are allowed beside the known ones.
        trust: whether everything is.
    """

    def __init__(self, directory: Path, config: PlainConfig, modules: tuple[str, ...], *, trust: bool) -> None:
        self.config = config
        self.directory, self._modules, self._trust = directory, modules, trust

    def model(self, checkpoint: dict[str, Any], device: str) -> LightningModule:
        """Return the model with the weights of a checkpoint, in eval mode.

        Args:
            checkpoint: its content.
            device: where the weights go, in torch's words.

        Raises:
            IntegrityError: when the weights are others than the model's.
            ConfigError: when the model's class is not allowed, or cannot be found or made, or the device is none.
        """
        from keepbest.reading.saved_model import completed, require_data

        model = self._made(completed(self.section("model"), checkpoint.get("hyper_parameters")), configured=True)
        with telling(IntegrityError, "the best checkpoint must hold the weights of the run's model"):
            model.on_load_checkpoint(checkpoint)
            model.load_state_dict(checkpoint["state_dict"], assign=True)  # keeps the precision that was trained in
        require_data(model)
        with telling(ConfigError, f"device must be one of this machine with room for the model, got {device!r}"):
            return model.to(device).eval()

    def untrained_model(self) -> LightningModule:
        """Return the model as training made it: what its config leaves to the data is not known yet.

        Raises:
            ConfigError: see `model`.
        """
        return self._made(self.section("model"), configured=False)

    def datamodule(self, node: Mapping[str, Any] | None = None) -> LightningDataModule:
        """Return a data module, not set up.

        Args:
            node: its config; None for the run's own.

        Raises:
            ConfigError: when its class is not allowed, or cannot be found or made.
            DataError: whatever else keeps it from being made.
        """
        from lightning.pytorch import LightningDataModule

        from keepbest.composition.build import build_datamodule
        from keepbest.composition.screening import screen

        node = self.section("data") if node is None else node
        screen(node, "data", LightningDataModule, self.allowance)
        with telling_of_data():
            return build_datamodule(node)

    def own_callbacks(self) -> list[Callback]:
        """Return the config's callbacks that no library brings, none of a run that is not trusted.

        Those that stop, keep and show belong to training, whoever wrote them.
        """
        from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ProgressBar

        from keepbest.composition.build import build_callbacks

        nodes = self.config.get("callbacks")
        if not self._trust or not isinstance(nodes, dict):
            return []
        own = {
            name: node
            for name, node in nodes.items()
            if isinstance(node, dict) and not str(node.get("_target_")).startswith(_FROM_LIBRARIES)
        }
        of_training = (Checkpoint, EarlyStopping, ProgressBar)
        return [made for made in build_callbacks(own, self.directory) if not isinstance(made, of_training)]

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of the config that describes an object.

        Raises:
            ConfigError: when it is no mapping.
        """
        node = self.config.get(name)
        if not isinstance(node, dict):
            rule = f"it must be a mapping with the _target_ of a class, and is a {type(node).__name__}"
            raise ConfigError(rule, key=name)
        return node

    @functools.cached_property
    def allowance(self) -> Allowance:
        """What may be made.

        Raises:
            ConfigError: for a module that is not here.
        """
        from keepbest.composition.allowance import Allowance, modules_wanted_by

        made = [self.config.get(section) for section in ("model", "data")]
        wanted = modules_wanted_by(made, self._modules)
        require_found(self._modules, wanted)
        return Allowance(self.directory, self._modules, self._trust, wanted)

    def _made(self, node: dict[str, Any], *, configured: bool) -> LightningModule:
        from lightning.pytorch import LightningModule

        from keepbest.composition.build import build_model
        from keepbest.composition.screening import screen

        screen(node, "model", LightningModule, self.allowance)
        with telling(ConfigError, "the run's config must describe a model that can be made"):
            model = build_model(node)
            if configured:
                model.configure_model()
        return model


def telling_of_data() -> Any:
    """Turn whatever goes wrong in the block, while data are read, into an error that says so."""
    return telling(DataError, "the run's data must be there, as they were when it was trained")


def set_up(datamodule: LightningDataModule, *stages: str) -> None:
    """Let a data module read its data, as a trainer does before it begins.

    Args:
        datamodule: as `RunModel.datamodule` returns it.
        stages: "fit", "validate", "test", in the order of the training.

    Raises:
        KeepbestError: for whatever keeps it from being set up.
    """
    with telling_of_data():
        datamodule.prepare_data()
        for stage in stages:
            datamodule.setup(stage)
