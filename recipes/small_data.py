"""Small data: what a few photos of each class are good for.

Measured with 10 photos of each class of the public Sign Language Digits data set and
EfficientNet-Lite0 at 96 pixels, seeds 0, 1 and 2: fine-tuning as by default for so few photos gets
83.8 %, 73.5 % and 86.3 % of the test photos right (mean 81.2 %), the probe 68.2 %, 71.9 % and
71.1 %, and fine-tuning in 6 epochs at 3e-4, which are 18 steps, 74.1 %, 73.8 % and 76.5 %
(`docs/benchmarks/few-photos.md`, also for 5 and 20 photos and other heads).

    python -m recipes.small_data --data ./sign-digits --photos 10

Few photos need more epochs, not fewer steps, and larger ones: by default `toolkit finetune` takes
about 300 steps, at most 60 epochs, at a rate up to three times as high. What validation says of a
handful of photos is rough, so look at the interval of the test accuracy before you choose between
two ways. `--photos 0` takes all that there are, `--rate 0` the default learning rate.
"""

from pathlib import Path

import toolkit
from recipes._command import run_recipe
from recipes._subsets import few_of_each
from toolkit.result import FinetuneResult


def small_data(
    data: str,
    *,
    photos: int = 20,
    image_size: int = 96,
    augment: str = "auto",
    rate: float = 0.0,
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Fine-tunes on so many photos of each class, and tests on all test photos."""
    source = toolkit.Source(data)
    if photos:
        source = few_of_each(data, Path(models_dir), photos, seed)
    result = toolkit.finetune(
        source,
        backbone,
        models_dir=models_dir,
        name="few",
        image_size=image_size,
        augment=augment,
        learning_rate=rate or None,
        seed=seed,
    )
    probe, kept = (result.metrics[name]["accuracy"] for name in ("probe", "validation"))
    print(f"On validation: the probe {probe:.1%}, what is kept {kept:.1%}")
    return result


if __name__ == "__main__":
    run_recipe(small_data)
