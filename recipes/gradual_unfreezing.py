"""Gradual unfreezing: the top stage first, then one more in each epoch, lower ones more slowly.

Measured on the sample digits with EfficientNet-Lite0 at 96 pixels, seeds 0, 1 and 2: test accuracy
98.1 %, 98.5 % and 98.2 % (mean 98.3 %).

    python -m recipes.gradual_unfreezing --data sample:digits

It protects what the lower stages know while the upper ones settle (Howard and Ruder 2018,
"Universal Language Model Fine-tuning for Text Classification"). Here the head starts from a probe,
so there is little to protect from: measure it on your data against `--stage-factor 1` and
`toolkit finetune --unfreeze all` before you believe in it.
"""

import toolkit
from recipes._command import run_recipe
from toolkit.result import FinetuneResult


def gradual_unfreezing(
    data: str,
    *,
    stage_factor: float = 0.8,
    image_size: int = 96,
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Trains the whole network, a stage at a time, each at a lower rate than the one above."""
    return toolkit.finetune(
        data,
        backbone,
        unfreeze="all",
        unfreeze_gradually=True,
        stage_factor=stage_factor,
        epochs=8,
        image_size=image_size,
        models_dir=models_dir,
        seed=seed,
    )


if __name__ == "__main__":
    run_recipe(gradual_unfreezing)
