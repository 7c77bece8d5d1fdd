"""Why images cannot be decoded that no stream of batches gives."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from toolkit.data.decode import make_decoder
from toolkit.data.load import make_loader
from toolkit.data.prepare import Preparation
from toolkit.data.table import ImageTable, Problem


def decoding_problems(
    table: ImageTable, rows: Sequence[int], preparation: Preparation
) -> list[Problem]:
    """Says why rows that `toolkit.data.batches.image_batches` left out cannot be decoded.

    Raises:
        RuntimeError: One can be decoded after all, so that something else went wrong.
    """
    decode, load = make_decoder(preparation.max_pixels), make_loader(table)
    files = table.files()
    return [Problem(table.paths[row], _decoding_error(decode, load, files[row])) for row in rows]


def _decoding_error(decode: Callable, load: Callable, file: bytes) -> str:
    try:
        decode(load(file))
    except tf.errors.InvalidArgumentError as error:
        return f"damaged, cut short or of a rare kind ({_decoders_words(error.message)})"
    except tf.errors.NotFoundError:
        return "No such file or directory"
    except tf.errors.PermissionDeniedError:
        return "Permission denied"
    raise RuntimeError(f"{file!r} was left out of a batch, and can be decoded")


def _decoders_words(message: str) -> str:
    """TensorFlow's message without the operation's name around it."""
    text = message.split("}} ")[-1].split(" [Op:")[0].split("Summarized data: ")[-1]
    return " ".join(line.removeprefix("b'").strip("'") for line in text.splitlines())[:120]
