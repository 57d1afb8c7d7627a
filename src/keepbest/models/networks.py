"""The networks inside the models: plain PyTorch modules that know nothing of training.

They use operations that are, or can be made, deterministic on CUDA (`torch.use_deterministic_algorithms`): no adaptive
pooling, no bilinear upsampling. They normalise with GroupNorm: it keeps no running statistics, which under DDP differ
between processes, so that a validation score would not belong to the weights that are saved.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def mlp(num_inputs: int, hidden_sizes: Sequence[int], num_outputs: int, dropout: float) -> nn.Sequential:
    """Build a perceptron over flattened samples, [batch, ...] to [batch, num_outputs]; linear without hidden sizes."""
    layers: list[nn.Module] = [nn.Flatten()]
    for size in hidden_sizes:
        layers += [nn.Linear(num_inputs, size), nn.ReLU(), nn.Dropout(dropout)]
        num_inputs = size
    return nn.Sequential(*layers, nn.Linear(num_inputs, num_outputs))


def convnet(image_shape: Sequence[int], channels: Sequence[int], num_outputs: int, dropout: float) -> nn.Sequential:
    """Build blocks that each convolve and halve an image, then a linear layer over all that is left of it.

    [batch, *image_shape] to [batch, num_outputs]; `image_shape` is (channels, height, width), with one block for each
    entry of `channels`.
    """
    in_channels, height, width = image_shape
    blocks: list[nn.Module] = []
    for out_channels in channels:
        # ceil_mode: an image of one pixel stays one, so that depth is not bound to the size of the images
        blocks += [convolution(in_channels, out_channels), nn.MaxPool2d(2, ceil_mode=True)]
        in_channels, height, width = out_channels, (height + 1) // 2, (width + 1) // 2
    num_features = in_channels * height * width
    return nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(dropout), nn.Linear(num_features, num_outputs))


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with padded convolutions, so that masks fit their images.

    [batch, in_channels, height, width] to [batch, num_outputs, height, width]; height and width must be divisible by
    `2**depth`. `depth` counts the halvings; level i has `base_channels * 2**i` channels.
    """

    def __init__(self, in_channels: int, num_outputs: int, base_channels: int, depth: int) -> None:
        super().__init__()
        widths = [base_channels * 2**level for level in range(depth + 1)]
        self.encoders = nn.ModuleList(
            double_convolution(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.halve = nn.MaxPool2d(2)
        upwards = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.doubles = nn.ModuleList(nn.ConvTranspose2d(deep, wide, 2, stride=2) for deep, wide in upwards)
        self.decoders = nn.ModuleList(double_convolution(2 * wide, wide) for _, wide in upwards)
        self.head = nn.Conv2d(base_channels, num_outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of every pixel."""
        levels = [self.encoders[0](images)]
        for encoder in self.encoders[1:]:
            levels.append(encoder(self.halve(levels[-1])))
        features = levels.pop()
        for double, decoder in zip(self.doubles, self.decoders, strict=True):
            features = decoder(torch.cat([levels.pop(), double(features)], dim=1))
        logits: Tensor = self.head(features)
        return logits


def convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build a 3x3 convolution that keeps height and width, with its normalisation and activation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),  # GroupNorm brings its own bias
        nn.GroupNorm(1, out_channels),
        nn.ReLU(),
    )


def double_convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build one level of a U-Net: two convolutions."""
    return nn.Sequential(convolution(in_channels, out_channels), convolution(out_channels, out_channels))
