"""Own augmentation: changes that leave *these* classes what they are.

Measured on the sample digits with EfficientNet-Lite0 at 96 pixels, seeds 0, 1 and 2: test accuracy
98.1 %, 99.6 % and 99.3 % (mean 99.0 %); with the default policy 94.6 %, 98.9 % and
97.8 % (mean 97.1 %: `toolkit finetune --data sample:digits --image-size 96 --epochs 6 --seed 0`).

    python -m recipes.own_augmentation --data sample:digits

Nobody knows better than you what may change in a photo without changing its class. Handwriting is
slanted, thick or thin, and never mirrored. Draw what your pipeline makes of some images before you
train on it; `toolkit.augment` also says which of its transforms turn an image into another class.
"""

import albumentations

import toolkit
from recipes._command import run_recipe
from toolkit.result import FinetuneResult


def handwriting() -> albumentations.Compose:
    """Slant, stretch and stroke width, as hands differ."""
    return albumentations.Compose(
        [
            albumentations.Affine(
                rotate=(-12, 12), shear={"x": (-12, 12), "y": (0, 0)}, scale=(0.9, 1.1), p=0.8
            ),
            albumentations.Morphological(scale=(2, 9), operation="erosion", p=0.2),
            albumentations.Morphological(scale=(2, 9), operation="dilation", p=0.2),
            albumentations.RandomBrightnessContrast(0.15, 0.15, p=0.5),
        ]
    )


def own_augmentation(
    data: str,
    *,
    image_size: int = 96,
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Draws what the pipeline makes of some images, then trains with it."""
    drawn = toolkit.augment(data, f"{models_dir}/handwriting.png", policy=handwriting(), seed=seed)
    print(*drawn.warnings, f"Look at {drawn.path}", sep="\n")
    return toolkit.finetune(
        data,
        backbone,
        models_dir=models_dir,
        image_size=image_size,
        epochs=6,
        seed=seed,
        augment=handwriting(),
    )


if __name__ == "__main__":
    run_recipe(own_augmentation)
