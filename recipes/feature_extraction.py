"""A linear probe on a frozen backbone's features: an honest answer in seconds.

Measured on the sample digits with EfficientNet-Lite0, seeds 0, 1 and 2: test accuracy 93.1 %,
93.9 % and 93.5 % (mean 93.5 %), about 20 s each on 2 cores with the features in the cache.

    python -m recipes.feature_extraction --data sample:digits

Use it first on any data: it tells whether the classes can be told apart at all, and it is what
fine-tuning must beat. The features stay in the cache: another seed or split, or ten photos more,
cost next to nothing.
"""

import toolkit
from recipes._command import run_recipe
from toolkit.result import FinetuneResult


def feature_extraction(
    data: str,
    *,
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Fits, measures and saves a probe; nothing of the backbone is trained."""
    return toolkit.finetune(data, backbone, models_dir=models_dir, seed=seed, epochs=0)


if __name__ == "__main__":
    run_recipe(feature_extraction)
