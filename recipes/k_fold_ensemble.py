"""K-fold ensemble: every photo is learned from, and every photo is judged honestly.

Measured with 20 photos of each class of the public Sign Language Digits data set and
EfficientNet-Lite0 at 96 pixels, seeds 0, 1 and 2, on 321 to 336 test photos: the ensemble gets
95.0 %, 96.6 % and 95.5 % of them right (mean 95.7 %), its members 93.0 % in the mean. The estimates
out of fold, of the members, are 94.5 %, 93.5 % and 95.0 %, with intervals of 6 to 7 points.

    python -m recipes.k_fold_ensemble --data ./sign-digits --photos 20 --folds 5

Each member validates on another fold, so together they are trained on all photos but the test's,
where one training would set some of them aside. The out-of-fold predictions, of each photo by the
member that was not trained on it, estimate the accuracy from far more photos than a single
validation split has: its interval is narrower.
"""

from pathlib import Path

import toolkit
from recipes._command import run_recipe
from recipes._subsets import few_of_each
from toolkit.result import EnsembleResult, summary


def k_fold_ensemble(
    data: str,
    *,
    photos: int = 0,
    folds: int = 5,
    image_size: int = 96,
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> EnsembleResult:
    """Fine-tunes one member for each fold, and averages them."""
    source = few_of_each(data, Path(models_dir), photos, seed) if photos else toolkit.Source(data)
    result = toolkit.finetune_members(
        source,
        "k-fold",
        backbones=[backbone],
        folds=folds,
        models_dir=models_dir,
        image_size=image_size,
        seed=seed,
    )
    for member in result.metrics["members"]:
        print(f"{member['name']}: {member['test']['accuracy']:.2%} of the test photos")
    print(f"Out of fold: {summary(result.metrics['out_of_fold'])}")
    return result


if __name__ == "__main__":
    run_recipe(k_fold_ensemble)
