"""Ensemble of backbones: different networks make different mistakes.

Measured with 20 photos of each class of the public Sign Language Digits data set at 96 pixels,
seeds 0, 1 and 2, on 321 to 336 test photos: the average of EfficientNet-Lite0, Lite1 and Lite2 has
a log-loss of 0.128, 0.210 and 0.162, the member that turns out to be the best 0.308, 0.303 and
0.378. It gets 95.3 %, 95.4 % and 95.2 % right, that member 94.1 %, 95.4 % and 93.2 %.
Calibrated, which is the geometric mean with a temperature, 96.9 %, 95.7 % and 96.1 % are right at a
log-loss of 0.151, 0.163 and 0.125, and the calibration error falls from 3.7 %, 3.7 % and 3.2 % to
3.6 %, 2.9 % and 2.5 %. Weights found on the 40 validation photos are no gain
(`docs/benchmarks/ensembles.md`).

    python -m recipes.ensemble_of_backbones --data ./sign-digits --photos 20

The networks have the same test photos. Their probabilities are averaged, and scaled by a
temperature found on the validation photos (`calibrate`), so that the average is about as sure as it
is right. `metrics.json` tells what each adds, and whether one alone is as good: an ensemble costs
the sum of its members' time. `distillation` puts what it has learned into one of them.
"""

from pathlib import Path

import toolkit
from recipes._command import run_recipe
from recipes._subsets import few_of_each
from toolkit.result import EnsembleResult


def ensemble_of_backbones(
    data: str,
    *,
    photos: int = 0,
    backbones: str = "efficientnet-lite0,efficientnet-lite1,efficientnet-lite2",
    image_size: int = 96,
    models_dir: str = "models",
    seed: int = 0,
) -> EnsembleResult:
    """Fine-tunes each network, and averages them with equal weights, calibrated."""
    source = few_of_each(data, Path(models_dir), photos, seed) if photos else toolkit.Source(data)
    result = toolkit.finetune_members(
        source,
        "backbones",
        backbones=backbones.split(","),
        models_dir=models_dir,
        image_size=image_size,
        seed=seed,
    )
    for member in result.metrics["members"]:
        test = member["test"]
        print(f"{member['name']}: {test['accuracy']:.2%}, loss {test['loss']:.4f}")
    paths = [member["path"] for member in result.run["members"]]
    return toolkit.ensemble(paths, "calibrated", calibrate=True, models_dir=models_dir, seed=seed)


if __name__ == "__main__":
    run_recipe(ensemble_of_backbones)
