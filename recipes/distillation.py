"""Distillation: what an ensemble has learned, at the cost of one of its members.

Measured with 20 photos of each class of the public Sign Language Digits data set at 96 pixels,
seeds 0, 1 and 2, on 321 to 336 test photos: EfficientNet-Lite0, taught by the average of itself,
Lite1 and Lite2, gets 93.8 %, 93.8 % and 94.0 % of them right (mean 93.9 %, log-loss 0.226, 0.287
and 0.183), alone 93.1 %, 92.0 % and 89.9 % (mean 91.7 %, log-loss 0.377, 0.381 and 0.472). The
ensemble itself has 94.1 %, 94.4 % and 92.0 % (mean 93.5 %, log-loss 0.248, 0.203 and 0.244), at the
cost of three networks (`docs/benchmarks/ensembles.md`).

    python -m recipes.distillation --data ./sign-digits --photos 20

The ensemble is the teacher: the smallest network learns its probabilities for the training photos
besides their labels (Hinton et al. 2015). Teacher and pupil have the same test photos, which
neither has seen; a teacher that has seen some of them is refused. Compare the pupil with the same
network without a teacher, which is a member of the ensemble.
"""

from pathlib import Path
from typing import Any

import toolkit
from recipes._command import run_recipe
from recipes._subsets import few_of_each
from toolkit.result import FinetuneResult


def distillation(
    data: str,
    *,
    photos: int = 0,
    backbones: str = "efficientnet-lite0,efficientnet-lite1,efficientnet-lite2",
    share: float = 0.5,
    temperature: float = 2.0,
    image_size: int = 96,
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Fine-tunes an ensemble, then its first network once more, with the ensemble as teacher."""
    source = few_of_each(data, Path(models_dir), photos, seed) if photos else toolkit.Source(data)
    names = backbones.split(",")
    options: dict[str, Any] = {"models_dir": models_dir, "image_size": image_size, "seed": seed}
    teacher = toolkit.finetune_members(source, "teacher", backbones=names, **options)
    result = toolkit.finetune(
        source,
        names[0],
        name="pupil",
        teacher=teacher.path,
        teacher_share=share,
        teacher_temperature=temperature,
        **options,
    )
    alone, together = teacher.metrics["members"][0]["test"], teacher.metrics["test"]
    for who, test in (
        (names[0], alone),
        ("the ensemble", together),
        ("the pupil", result.metrics["test"]),
    ):
        print(f"{who}: {test['accuracy']:.2%}, loss {test['loss']:.4f}")
    return result


if __name__ == "__main__":
    run_recipe(distillation)
