"""One cycle: the learning rate up and down once, for a short training at a high rate.

Measured on the sample digits with EfficientNet-Lite0 at 96 pixels, 4 epochs, seeds 0, 1 and 2: test
accuracy 98.8 %, 99.2 % and 98.2 % (mean 98.7 %).

    python -m recipes.one_cycle --data sample:digits

The rate rises for nearly half of the run and falls for as long, then to nearly nothing (Smith 2018,
"A Disciplined Approach to Neural Network Hyper-Parameters"). The high middle is why few epochs do.
`toolkit find-lr` says how high it may go; `toolkit schedule one-cycle` draws it.
"""

import toolkit
from recipes._command import run_recipe
from toolkit.result import FinetuneResult


def one_cycle(
    data: str,
    *,
    epochs: int = 4,
    learning_rate: float = 1e-3,
    image_size: int = 96,
    backbone: str = "efficientnet-lite0",
    models_dir: str = "models",
    seed: int = 0,
) -> FinetuneResult:
    """Fine-tunes in few epochs with one cycle of the learning rate."""
    return toolkit.finetune(
        data,
        backbone,
        schedule="one-cycle",
        learning_rate=learning_rate,
        epochs=epochs,
        image_size=image_size,
        models_dir=models_dir,
        seed=seed,
    )


if __name__ == "__main__":
    run_recipe(one_cycle)
