"""One look at a folder of images as one process, which tells its time and its memory."""

from pathlib import Path

import click

from benchmarks.decode import decode_all
from benchmarks.feature_pass import measure_pass
from benchmarks.folders import temporary_folder
from toolkit.auditing import audit


@click.command()
@click.argument("contestant", type=click.Choice(["toolkit", "decoding"]))
@click.argument("folder", type=click.Path(path_type=Path))
def main(contestant: str, folder: Path) -> None:
    """Looks at all images in FOLDER, and prints what it took."""
    {"toolkit": _audit, "decoding": _decode}[contestant](folder)


def _audit(folder: Path) -> None:
    with temporary_folder() as source, temporary_folder() as output:
        (source / "all").symlink_to(folder)
        measure_pass(lambda: audit(source, output, quiet=True).images)


def _decode(folder: Path) -> None:
    files = sorted(folder.iterdir())

    def decode() -> int:
        decode_all(files)
        return len(files)

    measure_pass(decode)


if __name__ == "__main__":
    main()
