"""Classes of very different sizes: each counts the same in the end, and macro-F1 is looked at.

Measured on the 2,062 photos of the public Sign Language Digits data set, training photos thinned
out from all of the first class to one in twenty of the last, EfficientNet-Lite0 at 96 pixels, seeds
16, 17 and 18: macro-F1 of the 1,250 photos that training and validation have not seen is 0.912,
0.926 and 0.911; with `--imbalance none` 0.912, 0.926 and 0.893. Of the test photos among them
0.933, 0.932 and 0.914, with `none` 0.933, 0.932 and 0.898 (`docs/benchmarks/imbalance.md`). In two
of the three the network had hardly taken in how uneven the classes are: validation saw no sure
gain, and it is left as it is. A probe (`toolkit finetune --epochs 0`) gains far more.

    python -m recipes.imbalanced_data --data ./sign-digits --thin 20

Accuracy hides the small classes: the large ones make it. Macro-F1 is the mean over classes,
whatever their size. With `imbalance="auto"` the network is trained as it would be, and then takes
all classes to be equally frequent, if validation is sure that it helps; nothing is repeated,
weighted or thrown away.
"""

from pathlib import Path

import toolkit
from recipes._command import run_recipe
from recipes._subsets import thinned
from toolkit.result import FinetuneResult


def imbalanced_data(
    data: str,
    *,
    imbalance: str = "auto",
    thin: int = 1,
    image_size: int = 96,
    augment: str = "auto",
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Trains with classes that count the same; `--imbalance none` for comparison."""
    source = thinned(data, Path(models_dir), thin, seed) if thin > 1 else toolkit.Source(data)
    result = toolkit.finetune(
        source,
        backbone,
        models_dir=models_dir,
        name="imbalanced",
        image_size=image_size,
        augment=augment,
        seed=seed,
        imbalance=imbalance,
    )
    print(f"Macro-F1 on the test images: {result.metrics['test']['macro_f1']:.3f}")
    return result


if __name__ == "__main__":
    run_recipe(imbalanced_data)
