"""Classes of very different sizes: each counts the same in training, and macro-F1 is looked at.

Measured on the sample digits with the training photos thinned out from all of the first class to
one in twenty of the last, EfficientNet-Lite0, seeds 0, 1 and 2: macro-F1 0.910, 0.910 and 0.855;
without weights 0.880, 0.872 and 0.822.

    python -m recipes.imbalanced_data --data sample:digits --thin 20

Accuracy hides the small classes: the large ones make it. Macro-F1 is the mean over classes,
whatever their size. With `imbalance="auto"` an image of a small class counts more in the
probe and in fine-tuning; nothing is repeated or thrown away.
"""

import csv
from pathlib import Path

import toolkit
from recipes._command import run_recipe
from toolkit.result import FinetuneResult

TRAIN = "train"


def imbalanced_data(
    data: str,
    *,
    imbalance: str = "auto",
    thin: int = 1,
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
        seed=seed,
        imbalance=imbalance,
    )
    print(f"Macro-F1 on the test images: {result.metrics['test']['macro_f1']:.3f}")
    return result


def thinned(data: str, folder: Path, ratio: int, seed: int) -> toolkit.Source:
    """A manifest in which the last class has 1/ratio of its training images, others between."""
    split = toolkit.split(data, folder / f"all-{seed}.csv", seed=seed, quiet=True)
    with open(split.paths[0], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    kept, seen = [], dict.fromkeys(classes, 0)
    for row in rows:
        share = ratio ** (-classes.index(row["label"]) / (len(classes) - 1))
        before = int(seen[row["label"]] * share)
        seen[row["label"]] += row["split"] == TRAIN
        if row["split"] != TRAIN or int(seen[row["label"]] * share) > before:
            kept.append(row)
    path = folder / f"thinned-{seed}.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)
    return toolkit.Source(path, root=split.root or None)


if __name__ == "__main__":
    run_recipe(imbalanced_data)
