"""Progressive resizing: learn on small images first, finish on large ones.

Measured on the sample digits with EfficientNet-Lite0, 64 pixels and then 96, seeds 0, 1 and 2: test
accuracy 97.7 %, 98.5 % and 99.3 % (mean 98.5 %), 99.2 %, 98.1 % and 98.2 % (98.5 %) before the
larger images. The digits are of 8 x 8 pixels: what larger images add shows on photos that have it.

    python -m recipes.progressive_resizing --data sample:digits

Most of what is to be learned shows in small images, which take a fraction of the time; the last
epochs see what only large ones show. The second run starts from the first one's weights, and its
probe is fitted anew, so that the head fits the features of large images. With `--finish 0` only
that head is: a network of small images that is tested on large ones (Touvron et al. 2019, "Fixing
the Train-Test Resolution Discrepancy").
"""

import toolkit
from recipes._command import run_recipe
from toolkit.result import FinetuneResult


def progressive_resizing(
    data: str,
    *,
    small: int = 64,
    large: int = 96,
    finish: int = 2,
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Fine-tunes at one size of images, then for some epochs more at a larger one."""
    first = toolkit.finetune(
        data, backbone, models_dir=models_dir, name="small", image_size=small, seed=seed
    )
    return toolkit.finetune(
        data,
        backbone,
        models_dir=models_dir,
        name="large",
        weights=first.path / "assets.extra" / "model.keras",
        image_size=large,
        epochs=finish,
        learning_rate=1e-4,
        seed=seed,
    )


if __name__ == "__main__":
    run_recipe(progressive_resizing)
