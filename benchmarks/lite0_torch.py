"""EfficientNet-Lite0 in PyTorch, under the names of its published weights."""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

GROUPS = (
    # repeats, kernel, stride, expansion, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's padding "same": what is odd goes behind."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pads, and convolves."""
        pads = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size, self.stride, strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


def _norm(filters: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)


def _conv(inputs: int, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> SameConv2d:
    return SameConv2d(inputs, filters, kernel, stride, groups=groups, bias=False)


class Block(nn.Module):
    """An inverted residual block."""

    def __init__(self, inputs: int, kernel: int, stride: int, expansion: int, filters: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self._residual = stride == 1 and inputs == filters
        self._expand_conv = _conv(inputs, inner, 1) if expansion > 1 else None
        self._bn0 = _norm(inner) if expansion > 1 else None
        self._depthwise_conv = _conv(inner, inner, kernel, stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv = _conv(inner, filters, 1)
        self._bn2 = _norm(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Expands, convolves each channel, projects."""
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = functional.relu6(self._bn0(self._expand_conv(y)))
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._residual else y


class EfficientNetLite0(nn.Module):
    """Normalized images [N, 3, H, W] to logits [N, classes]."""

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _conv(3, 32, 3, 2), _norm(32)
        blocks, inputs = [], 32
        for repeats, kernel, stride, expansion, filters in GROUPS:
            for i in range(repeats):
                blocks.append(Block(inputs, kernel, 1 if i else stride, expansion, filters))
                inputs = filters
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = _conv(inputs, 1280, 1), _norm(1280)
        self.dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Runs the network."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(self.dropout(x.mean((2, 3))))

    def new_head(self, classes: int) -> nn.Linear:
        """Puts a new last layer in place of the old one, and gives it."""
        self._fc = nn.Linear(1280, classes)
        return self._fc


def load_lite0(file: str | Path) -> EfficientNetLite0:
    """The network with its published weights for ImageNet."""
    network = EfficientNetLite0()
    network.load_state_dict(torch.load(file, weights_only=True))
    return network
