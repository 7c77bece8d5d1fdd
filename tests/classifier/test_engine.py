import hashlib
from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.conftest import quietly, write_images
from tests.networks import make_residual, pixels
from toolkit import backbones
from toolkit.cache import cache_folder
from toolkit.classifier import engine as engine_module
from toolkit.classifier import features as features_module
from toolkit.classifier import openvino
from toolkit.classifier.engine import (
    BFLOAT16,
    ENGINES,
    FLOAT32,
    KERAS,
    KERAS_BATCH,
    LARGEST_DIFFERENCE,
    MIXED,
    Sample,
    check_engine,
    choose_engine,
    keras_engine,
)
from toolkit.classifier.features import compute_features
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.errors import MissingPackageError, OptionError

IMAGES = pixels(8)


def sample_of(images):
    return Sample(hashlib.sha256(images.tobytes()).hexdigest(), lambda: images)


SAMPLE = sample_of(IMAGES)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def network() -> keras.Model:
    return make_residual()


@pytest.fixture
def bfloat16(monkeypatch):
    """A CPU with bfloat16, whatever it is."""
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: True)


def erring(monkeypatch, **share):
    """Makes engines of a precision err by a share of their output; tells what is compiled."""
    compile_network, compiled = openvino.compile_network, []

    def compile_wrongly(convert, shapes, precision, folder):
        run = compile_network(convert, shapes, precision, folder)
        compiled.append(precision)

        def run_wrongly(images):
            with np.errstate(all="ignore"):
                return run(images) * np.float32(1 + share.get(precision, 0))

        return run_wrongly

    monkeypatch.setattr(openvino, "compile_network", compile_wrongly)
    return compiled


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A pretrained network on each engine, whatever the difference: {name: engine}."""
    network = backbones.build("efficientnet-lite0", image_size=32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOOLKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(engine_module, "LARGEST_DIFFERENCE", dict.fromkeys(LARGEST_DIFFERENCE, 9.0))
        return {
            name: choose_engine(name, network, sample_of(pixels(KERAS_BATCH, 32)))
            for name in ENGINES
        }


@pytest.mark.parametrize("name", ENGINES)
def test_an_images_features_do_not_depend_on_what_else_is_in_the_batch(real, name):
    engine, images = real[name], pixels(KERAS_BATCH, 32)
    assert engine.name == name
    expected = engine(images)
    assert expected.shape == (KERAS_BATCH, 1280) and expected.dtype == np.float32

    random = np.random.default_rng(0)
    for _ in range(3):
        order = random.permutation(KERAS_BATCH)
        np.testing.assert_array_equal(engine(images[order]), expected[order])
    for count in (1, 5, 31):
        np.testing.assert_array_equal(engine(images[:count]), expected[:count])
        np.testing.assert_array_equal(engine(images[-count:]), expected[-count:])
    beside = np.full_like(images, np.nan)
    beside[7] = images[0]
    np.testing.assert_array_equal(engine(beside)[7], expected[0])
    assert engine(images[:0]).shape == (0, 1280)


def test_engines_are_as_exact_as_they_say(real):
    images = pixels(KERAS_BATCH, 32, seed=1)
    expected = real[KERAS](images)
    differences = {
        name: np.linalg.norm(engine(images) - expected) / np.linalg.norm(expected)
        for name, engine in real.items()
    }
    assert real[KERAS].difference == differences[KERAS] == 0
    assert 0 < differences[FLOAT32] < LARGEST_DIFFERENCE[FLOAT32] / 10
    for name in (MIXED, BFLOAT16):
        assert differences[FLOAT32] < differences[name] < 0.1
        assert differences[name] == pytest.approx(real[name].difference, rel=0.5)
    assert real[KERAS].version == keras.__version__
    assert real[FLOAT32].version == real[BFLOAT16].version == openvino.version()


@pytest.mark.parametrize("name", ENGINES)
def test_an_interrupted_and_resumed_pass_gives_the_bits_of_an_uninterrupted_one(
    name, network, tmp_path, monkeypatch
):
    table = scan(list_source(write_images(tmp_path / "photos", 13)), 10**8, quietly)
    monkeypatch.setattr(engine_module, "LARGEST_DIFFERENCE", dict.fromkeys(LARGEST_DIFFERENCE, 9.0))

    def compute(cache, interrupted=False):
        monkeypatch.setenv("TOOLKIT_CACHE", str(tmp_path / cache))
        engine = choose_engine(name, network, SAMPLE)
        assert engine.name == name
        batches = []

        def interrupt(images):
            if len(batches) == 3:
                raise KeyboardInterrupt
            batches.append(images)
            return engine.run(images)

        used = replace(engine, run=interrupt) if interrupted else engine
        return compute_features(table, network, Preparation(16, 16), used, quietly)

    whole = compute("whole")
    monkeypatch.setattr(features_module, "SECONDS_BETWEEN_SHARDS", 0)
    monkeypatch.setattr(features_module, "LOSABLE_SHARE", 0)
    monkeypatch.setattr(features_module, "_batch_size", lambda engine: 5)
    with pytest.raises(KeyboardInterrupt):
        compute("resumed", interrupted=True)
    resumed = compute("resumed")

    assert (whole.computed, resumed.computed) == (39, 39 - 3 * 5)
    np.testing.assert_array_equal(whole.values, resumed.values)


def test_auto_takes_the_fastest_that_agrees_with_keras(network, bfloat16):
    engine = choose_engine("auto", network, SAMPLE)

    assert engine.name == BFLOAT16
    assert 0 < engine.difference <= 0.03
    np.testing.assert_allclose(
        engine(IMAGES), network.predict_on_batch(IMAGES), rtol=0.1, atol=0.05
    )


def test_auto_does_without_bfloat16_where_the_cpu_has_none(network, monkeypatch):
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: False)
    assert choose_engine("auto", network, SAMPLE).name == FLOAT32


def test_auto_is_keras_where_there_is_a_gpu(network, monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    assert choose_engine("auto", network, SAMPLE).name == KERAS
    assert choose_engine(FLOAT32, network, SAMPLE).name == FLOAT32, "it was asked for"


@pytest.mark.parametrize(("side", "batch"), [(16, 256), (224, 256), (331, 117), (800, 32)])
def test_batches_are_larger_on_a_gpu_as_far_as_its_memory_allows(side, batch, monkeypatch):
    images = keras.Input((side, side, 3))
    network = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    assert keras_engine(network).batch_size == KERAS_BATCH
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    assert keras_engine(network).batch_size == batch


def test_auto_is_keras_on_another_backend(network, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert choose_engine("auto", network, SAMPLE).name == KERAS


def test_auto_is_keras_without_openvino_and_says_how_it_would_be_faster(
    network, monkeypatch, caplog
):
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    assert choose_engine("auto", network, SAMPLE).name == KERAS
    assert caplog.messages == [
        "Features are computed several times faster with: pip install openvino"
    ]


@pytest.mark.parametrize("name", ENGINES)
def test_the_engine_that_is_asked_for_is_taken(network, name):
    engine = choose_engine(name, network, SAMPLE)
    assert engine.name == name
    assert engine.difference <= LARGEST_DIFFERENCE.get(name, 0)


REFUSED = {
    ("auto", 0.04, 0.0): [FLOAT32, BFLOAT16, MIXED],
    ("auto", 0.04, 0.002): [KERAS, BFLOAT16, MIXED, FLOAT32],
    ("auto", np.nan, np.inf): [KERAS, BFLOAT16, MIXED, FLOAT32],
    (BFLOAT16, 0.04, 0.0): [FLOAT32, BFLOAT16, MIXED],
    (MIXED, 0.04, 0.0): [FLOAT32, MIXED],
    (FLOAT32, 0.0, 0.002): [KERAS, FLOAT32],
    ("auto", 0.005, 0.0): [BFLOAT16],
    (FLOAT32, 0.0, 0.0002): [FLOAT32],
}


@pytest.mark.parametrize(("asked", "bf16", "f32"), REFUSED)
def test_an_engine_that_differs_too_much_from_keras_falls_back_with_a_message(
    network, bfloat16, monkeypatch, caplog, asked, bf16, f32
):
    compiled = erring(monkeypatch, bf16=bf16, f32=f32)

    engine = choose_engine(asked, network, SAMPLE)

    taken, *refused = REFUSED[asked, bf16, f32]
    assert engine.name == taken
    for name, message in zip(refused, caplog.messages, strict=True):
        assert message.startswith(f"{name} is not used for residual: it differs from Keras by ")
        assert message.endswith(f", more than {LARGEST_DIFFERENCE[name]:g}.")
    tried = len(refused) + (MIXED in refused) + (taken != KERAS)
    assert len(compiled) == 2 * tried, "each in its two parts, mixed cut at two places"


def test_where_the_layers_of_high_resolution_bear_no_rounding_they_are_exact(
    network, bfloat16, monkeypatch, caplog
):
    compile_network = openvino.compile_network

    def compile_wrongly(convert, shapes, precision, folder):
        run = compile_network(convert, shapes, precision, folder)
        wrong = precision == "bf16" and list(shapes[0]) == list(network.input_shape[1:])
        return lambda images: run(images) * np.float32(2 if wrong else 1)

    monkeypatch.setattr(openvino, "compile_network", compile_wrongly)
    engine = choose_engine("auto", network, SAMPLE)

    assert engine.name == MIXED
    assert [message.split()[0] for message in caplog.messages] == [BFLOAT16]


def test_where_rounding_from_the_first_narrow_place_is_too_much_it_begins_at_the_second(
    network, bfloat16, monkeypatch, caplog
):
    compile_network = openvino.compile_network

    def compile_wrongly(convert, shapes, precision, folder):
        run = compile_network(convert, shapes, precision, folder)
        wrong = precision == "bf16" and list(shapes[0]) != [4, 4, 8]
        return lambda images: run(images) * np.float32(2 if wrong else 1)

    first = choose_engine(MIXED, network, SAMPLE, keep=False)
    monkeypatch.setattr(openvino, "compile_network", compile_wrongly)
    second = choose_engine(MIXED, network, SAMPLE)

    assert (first.name, second.name) == (MIXED, MIXED)
    assert first.version == f"{openvino.version()} from 8x8x8"
    assert second.version == f"{openvino.version()} from 4x4x8"
    assert not caplog.messages


def test_a_network_that_cannot_be_cut_is_run_in_one_precision(bfloat16, monkeypatch):
    wide = keras.Input((16, 16, 3))
    hidden = keras.layers.Conv2D(4, 3, padding="same")(wide)
    whole = keras.Model(wide, keras.layers.GlobalAveragePooling2D()(hidden), name="wide")
    compiled = erring(monkeypatch, bf16=0.04)

    assert choose_engine("auto", whole, SAMPLE).name == FLOAT32
    assert compiled == ["bf16", "f32"]


def refuse_to_compare(values, expected):
    raise AssertionError("it is compared again")


def test_engine_and_keras_are_compared_once_for_each_network_and_images(network, monkeypatch):
    first = choose_engine(FLOAT32, network, SAMPLE)
    monkeypatch.setattr(engine_module, "_difference", refuse_to_compare)

    again = choose_engine(FLOAT32, make_residual(), SAMPLE)

    assert again.difference == first.difference
    for other, images in ((network, pixels(8, seed=1)), (make_residual(seed=1), IMAGES)):
        with pytest.raises(AssertionError, match="compared again"):
            choose_engine(FLOAT32, other, sample_of(images))


@pytest.mark.parametrize("content", ["", "many", "[1]", "null", "\xff"])
def test_a_damaged_record_of_the_comparison_is_made_again(network, content):
    first = choose_engine(FLOAT32, network, SAMPLE)
    (record,) = cache_folder().glob("networks/*/difference-*.json")
    record.write_bytes(content.encode("latin-1"))

    again = choose_engine(FLOAT32, network, SAMPLE)

    assert (again.name, again.difference) == (FLOAT32, first.difference)
    assert float(record.read_text()) == first.difference


def test_compiled_networks_are_cached_and_a_later_start_does_not_convert_again(
    network, bfloat16, monkeypatch
):
    expected = {name: choose_engine(name, network, SAMPLE)(IMAGES) for name in ENGINES}

    def refuse(network):
        raise AssertionError("it is converted again")

    monkeypatch.setattr(openvino, "convert_network", refuse)
    for name in ENGINES:
        again = choose_engine(name, make_residual(), SAMPLE)
        assert again.name == name
        np.testing.assert_array_equal(again(IMAGES), expected[name])
    with pytest.raises(AssertionError, match="converted again"):
        choose_engine(FLOAT32, make_residual(seed=1), SAMPLE)
    monkeypatch.setattr(openvino, "version", lambda: "2099.1")
    with pytest.raises(AssertionError, match="converted again"):
        choose_engine(FLOAT32, network, SAMPLE)


def test_a_damaged_converted_network_is_made_again_with_a_message(network, caplog):
    expected = choose_engine(FLOAT32, network, SAMPLE)(IMAGES)
    damaged = sorted(cache_folder().glob("networks/*/converted/network.bin"))
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-100])

    again = choose_engine(FLOAT32, network, SAMPLE)

    np.testing.assert_array_equal(again(IMAGES), expected)
    assert len(damaged) == len(caplog.messages) == 2
    assert all("is damaged and made again" in message for message in caplog.messages)


def test_without_a_cache_nothing_is_written(network):
    kept = choose_engine(FLOAT32, network, SAMPLE)
    used = sorted(cache_folder().rglob("*"))

    engine = choose_engine(FLOAT32, make_residual(seed=1), SAMPLE, keep=False)

    assert (engine.name, kept.name) == (FLOAT32, FLOAT32)
    assert sorted(cache_folder().rglob("*")) == used


@pytest.mark.parametrize("name", ["openvino", "", "Keras", "tensorrt"])
def test_an_unknown_engine_is_refused(name):
    with pytest.raises(OptionError) as error:
        check_engine(name)
    assert str(error.value) == (
        "--engine must be one of auto, keras, openvino-float32, openvino-mixed, "
        f"openvino-bfloat16. Received: {name!r}"
    )


def test_an_engine_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    with pytest.raises(MissingPackageError) as error:
        check_engine(BFLOAT16)
    assert str(error.value) == (
        "--engine openvino-bfloat16 needs a package that is not installed: pip install openvino"
    )
    check_engine("auto")
    check_engine(KERAS)


def test_an_engine_that_cannot_run_the_backends_networks_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(OptionError) as error:
        check_engine(FLOAT32)
    assert str(error.value) == (
        "--engine must be auto or keras with KERAS_BACKEND=jax. Received: 'openvino-float32'"
    )
    check_engine("auto")
    check_engine(KERAS)
