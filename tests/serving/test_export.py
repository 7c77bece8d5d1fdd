"""The SavedModel of a finished run, as a server would use it."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from toolkit.data.decode import make_decoder


@pytest.fixture(scope="module")
def served(finished):
    return tf.saved_model.load(str(finished.path)).signatures


@pytest.fixture(scope="module")
def files(images):
    return [path.read_bytes() for path in sorted(images.rglob("*.jpg"))[::7]]


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def answer(served, data):
    return served["serving_default"](image_bytes=tf.constant(data, tf.string))


def test_the_signatures_are_as_the_contract_says(served):
    assert {"serving_default", "pixels"} <= set(served)
    for name, inputs in [
        ("serving_default", {"image_bytes": tf.TensorSpec([None], tf.string, "image_bytes")}),
        ("pixels", {"pixels": tf.TensorSpec([None, None, None, 3], tf.uint8, "pixels")}),
    ]:
        assert served[name].structured_input_signature == ((), inputs)
        outputs = served[name].structured_outputs
        assert set(outputs) == {"probabilities", "label", "rejected"}
        assert outputs["probabilities"].dtype == tf.float32
        assert outputs["probabilities"].shape.as_list() == [None, 3]
        assert outputs["label"].dtype == tf.string
        assert outputs["rejected"].dtype == tf.bool


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_batch_may_have_any_size(served, files, count):
    given = answer(served, files[:count])
    probabilities, labels = given["probabilities"].numpy(), given["label"].numpy()
    assert probabilities.shape == (count, 3)
    assert labels.shape == (count,)
    names = np.array([b"blue", b"green", b"red"])
    np.testing.assert_array_equal(labels, names[probabilities.argmax(axis=1)])
    np.testing.assert_array_equal(given["rejected"], [False] * count)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_batch_gives_what_each_image_gives_alone(served, files):
    together = answer(served, files[:5])["probabilities"].numpy()
    alone = [answer(served, [file])["probabilities"].numpy()[0] for file in files[:5]]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_pixels_give_what_their_encoded_bytes_give(served, files):
    pixels = np.stack([make_decoder()(tf.constant(file)).numpy() for file in files[:4]])
    given = served["pixels"](pixels=tf.constant(pixels))["probabilities"].numpy()
    np.testing.assert_allclose(given, answer(served, files[:4])["probabilities"], atol=1e-6)
    assert served["pixels"](pixels=tf.zeros([0, 9, 9, 3], tf.uint8))["label"].shape == [0]


def test_images_that_cannot_be_decoded_are_named_by_their_place(served, files):
    truncated = files[0][: len(files[0]) // 2]
    data = [files[0], b"text", files[1], truncated, b""]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"places of the batch.*\[1 3 4\]"):
        answer(served, data)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[0\]"):
        answer(served, [b"text"])


def test_an_image_with_too_many_pixels_is_refused(served, files):
    huge = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    assert len(huge) < 1 << 20
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[1\]"):
        answer(served, [files[0], huge])


def test_every_format_is_taken(served):
    image = Image.new("RGB", (40, 40), (200, 40, 40))
    data = [encoded(image, form) for form in ("PNG", "BMP", "GIF", "WEBP")]
    data += [encoded(image, "JPEG", quality=95), encoded(image.convert("CMYK"), "JPEG")]
    data += [encoded(image.quantize(8), "PNG"), encoded(image.convert("RGBA"), "PNG")]
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("blue", "green")]
    data.append(encoded(image, "GIF", save_all=True, append_images=frames))
    probabilities = answer(served, data)["probabilities"].numpy()
    np.testing.assert_allclose(probabilities, probabilities[:1].repeat(len(data), 0), atol=0.05)


def test_a_turned_photo_gives_what_its_upright_twin_gives(served):
    noise = np.random.default_rng(4).integers(0, 255, (6, 4, 3), np.uint8)
    upright = Image.fromarray(noise).resize((64, 96))
    exif = Image.Exif()
    exif[0x0112] = 6  # Is to be turned by 90 degrees clockwise to be upright.
    turned = encoded(upright.rotate(90, expand=True), "JPEG", quality=100, exif=exif)
    unmarked = encoded(upright.rotate(90, expand=True), "JPEG", quality=100)
    data = [encoded(upright, "JPEG", quality=100), turned, unmarked]
    first, twin, other = answer(served, data)["probabilities"].numpy()
    turning_matters = np.abs(first - other).max()
    assert turning_matters > 0.02, "else the test would show nothing"
    np.testing.assert_allclose(first, twin, atol=turning_matters / 5)


def test_it_loads_where_keras_cannot_be_imported(finished, images, tmp_path):
    code = """if True:
        import sys
        sys.modules["keras"] = sys.modules["toolkit"] = None
        import tensorflow as tf
        serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
        data = [open(path, "rb").read() for path in sys.argv[2:]]
        print([label.decode() for label in serve(image_bytes=tf.constant(data))["label"].numpy()])
    """
    paths = [images / "red" / "red-000.jpg", images / "blue" / "blue-000.jpg"]
    command = [sys.executable, "-c", code, finished.path, *paths]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    expected = [prediction.label for prediction in finished.classifier.predict(paths)]
    assert done.stdout.strip() == str(expected)
