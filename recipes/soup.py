"""A model soup: several trainings of one network averaged into one of the same size.

    python -m recipes.soup --data ./sign-digits --photos 20

The members start from the same pretrained weights and the same probe, and differ in their learning
rate alone, so their weights may be averaged (Wortsman et al. 2022, "Model soups"). They have one
seed, which also decides the splits: so there are photos that none of them has seen. `--photos 0`
takes all that there are.
"""

from pathlib import Path

import toolkit
from recipes._command import run_recipe
from recipes._subsets import few_of_each
from toolkit.result import SoupResult

LEARNING_RATES = (5e-4, 1e-3, 2e-3)


def soup(
    data: str,
    *,
    photos: int = 20,
    image_size: int = 96,
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> SoupResult:
    """Trains a member with each learning rate, and averages those that help on validation."""
    source = toolkit.Source(data)
    if photos:
        source = few_of_each(data, Path(models_dir), photos, seed)
    members = [
        toolkit.finetune(
            source,
            backbone,
            models_dir=models_dir,
            name=f"member-{learning_rate:g}",
            learning_rate=learning_rate,
            image_size=image_size,
            seed=seed,
        ).path
        for learning_rate in LEARNING_RATES
    ]
    result = toolkit.soup(members, "soup", models_dir=models_dir)
    for member in result.metrics["members"]:
        share, test = member["weight"], member["test"]["accuracy"]
        print(f"{member['name']}: {test:.1%} of the test photos right; its share: {share:.2f}")
    return result


if __name__ == "__main__":
    run_recipe(soup)
