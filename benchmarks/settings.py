"""What a benchmark is told."""

from collections.abc import Callable
from dataclasses import dataclass

from toolkit.data.table import ImageTable
from toolkit.errors import NoImagesError

SIZES = (1_000, 10_000, 60_000)


@dataclass(frozen=True)
class Settings:
    """The command line's options.

    Attributes:
        say: Shows a line of progress.
        data: A folder of images, or "sample:digits".
        backbone: The pretrained network.
        weights: "imagenet", "random", or a file.
        image_size: Height and width in pixels; None: the network's own, or the benchmark's.
        repetitions: Rounds that are measured.
        seed: Of the first round of trainings; the next have the next ones.
        epochs: Of each training; None: each one's own.
        limit: At most so many images; None: the benchmark's own limit.
        sizes: Numbers of images of `scaling` and `audit`.
    """

    say: Callable[[str], None]
    data: str = "sample:digits"
    backbone: str = "efficientnet-lite0"
    weights: str = "imagenet"
    image_size: int | None = None
    repetitions: int = 1
    seed: int = 0
    epochs: int | None = None
    limit: int | None = None
    sizes: tuple[int, ...] = SIZES

    @property
    def network_options(self) -> list[str]:
        """The network's options for a process of its own."""
        size = [] if self.image_size is None else ["--image-size", str(self.image_size)]
        return ["--backbone", self.backbone, "--weights", self.weights, *size]

    def check_images(self, table: ImageTable) -> None:
        """Refuses a source without readable images."""
        if not len(table):
            raise NoImagesError(self.data)
