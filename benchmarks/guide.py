"""Keras' guide "Transfer learning & fine-tuning", written out as one process.

See https://keras.io/guides/transfer_learning. As in its example: images are resized as
`image_dataset_from_directory` does by default and kept in memory; augmentation layers are a part
of the model; the base is called with `training=False`; Dropout 0.2; Adam at 1e-3 with the base
frozen, then at 1e-5 with everything unfrozen.
"""

import click
import keras
import tensorflow as tf

from benchmarks.curve import tell_epoch
from toolkit import backbones

BATCH_SIZE = 32
SHUFFLED = 2048
UNFROZEN_RATE = 1e-5


@click.command()
@click.argument("folder")
@click.option("--backbone", required=True)
@click.option("--weights", required=True)
@click.option("--image-size", type=int)
@click.option("--epochs", type=int, required=True, help="Of each of the two phases.")
@click.option("--flip/--no-flip", default=True)
def main(
    folder: str, backbone: str, weights: str, image_size: int | None, epochs: int, flip: bool
) -> None:
    """Trains on FOLDER/train, and tells the accuracy on FOLDER/test after each epoch."""
    keras.utils.set_random_seed(0)
    base = backbones.build(backbone, weights=weights, image_size=image_size)
    size = base.input_shape[1:3]
    train, classes = training_images(f"{folder}/train", size)
    validation, test = (
        _images(f"{folder}/{name}", size, shuffle=False).cache().batch(BATCH_SIZE).prefetch(10)
        for name in ("validation", "test")
    )
    model = build_model(base, classes, flip)
    for phase, learning_rate in (("frozen", 1e-3), ("unfrozen", UNFROZEN_RATE)):
        base.trainable = phase == "unfrozen"
        compile_model(model, learning_rate)
        for epoch in range(epochs):
            model.fit(train, validation_data=validation, epochs=1, verbose=0)
            tell_epoch(phase, epoch + 1, lambda: _accuracy(model, test))


def training_images(folder: str, size: tuple[int, int]) -> tuple[tf.data.Dataset, int]:
    """The guide's batches of the images in class folders, and how many classes there are."""
    images = _images(folder, size, shuffle=True)
    batches = images.cache().shuffle(SHUFFLED).batch(BATCH_SIZE).prefetch(10)
    return batches, len(images.class_names)


def compile_model(model: keras.Model, learning_rate: float) -> None:
    """Gives the model the guide's optimizer, loss and metric; what is frozen now stays so."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )


def build_model(base: keras.Model, classes: int, flip: bool) -> keras.Model:
    """The guide's model: augmentation, the frozen base, dropout, and a new last layer."""
    base.trainable = False
    augmentation = [keras.layers.RandomFlip("horizontal")] if flip else []
    augmentation.append(keras.layers.RandomRotation(0.1))
    inputs = keras.Input(base.input_shape[1:])
    x = inputs
    for layer in augmentation:
        x = layer(x)
    x = base(x, training=False)
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def _images(folder: str, size: tuple[int, int], shuffle: bool) -> tf.data.Dataset:
    return keras.utils.image_dataset_from_directory(
        folder, image_size=size, batch_size=None, shuffle=shuffle, seed=0, verbose=False
    )


def _accuracy(model: keras.Model, test: tf.data.Dataset) -> float:
    return float(model.evaluate(test, verbose=0, return_dict=True)["accuracy"])


if __name__ == "__main__":
    main()
