"""Groups that never cross: photos of one burst, person or camera on one side of the split.

Measured on bursts made of the sample digits (each digit in five frames that are turned, moved and
lit a little differently), a probe on EfficientNet-Lite0, seeds 0, 1 and 2: split one by one, test
accuracy 99.0 %, 98.8 % and 99.3 %; with each burst on one side 94.8 %, 94.3 % and 95.4 %.

    python -m recipes.grouped_splits --data sample:bursts

A frame beside its neighbour in training is half known: what a random split measures is not what the
next person's photos will give. The lower figure is the true one.
"""

import functools
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

import toolkit
from recipes._command import run_recipe
from toolkit.result import FinetuneResult, summary

BURSTS = "sample:bursts"
FRAMES, SIDE = 5, 32


def grouped_splits(
    data: str,
    *,
    group_by: str = r"(\d+)-\d+\.png",
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Measures a probe with photos split one by one, and with each group on one side."""
    if data == BURSTS:
        data = str(write_bursts(Path("bursts-of-digits")))
    probe = functools.partial(
        toolkit.finetune, backbone=backbone, models_dir=models_dir, seed=seed, epochs=0
    )
    apart = probe(data)
    print(f"Split one by one: {summary(apart.metrics['test'])}")
    return probe(toolkit.Source(data, group_by=group_by))


def write_bursts(folder: Path) -> Path:
    """Class folders of the sample digits, each digit in five frames, as 0042-3.png."""
    from sklearn.datasets import load_digits

    random, digits = np.random.default_rng(0), load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels * (255 / 16)).astype(np.uint8)).resize((SIDE, SIDE))
        for frame in range(FRAMES):
            shift = tuple(random.integers(-1, 2, 2).tolist())
            moved = image.rotate(random.normal(0, 3), Image.Resampling.BILINEAR, translate=shift)
            lit = ImageEnhance.Brightness(moved).enhance(random.uniform(0.9, 1.1))
            lit.save(folder / str(label) / f"{number:04}-{frame}.png")
    return folder


if __name__ == "__main__":
    run_recipe(grouped_splits)
