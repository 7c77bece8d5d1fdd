import keras
import numpy as np
import pytest

from tests.networks import make_network, with_head
from toolkit.data.prepare import Preparation
from toolkit.errors import OptionError
from toolkit.serving.tta import check_tta, views_of, with_views

OWN = Preparation(16, 16, 10**6, crop="squash")


def images(preparation, count=5):
    shape = (count, preparation.height, preparation.width, 3)
    return np.random.default_rng(preparation.height).uniform(0, 255, shape).astype(np.float32)


def average(model, views):
    return np.mean([np.asarray(model(view)) for view in views], axis=0)


@pytest.fixture(scope="module")
def model():
    """Sensitive to where something is: features are not pooled."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((16, 16, 3))
    hidden = keras.layers.Conv2D(2, 5, strides=3, activation="tanh")(pixels / 255)
    return keras.Model(pixels, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(hidden)))


def test_flips_are_the_image_and_its_mirror_image(model):
    viewed, preparations = with_views(model, [OWN], ["flips"])
    assert preparations == (OWN,)
    batch = images(OWN)
    wanted = average(model, [batch, batch[:, :, ::-1]])
    np.testing.assert_allclose(viewed(batch), wanted, atol=1e-6)
    assert np.abs(wanted - model(batch)).max() > 0.01, "else the test would show nothing"


def test_crops_are_the_centre_and_the_corners_of_a_larger_image(model):
    viewed, [larger] = with_views(model, [OWN], ["crops"])
    assert (larger.height, larger.width, larger.crop) == (18, 18, "squash")
    batch = images(larger)
    cuts = [batch[:, y : y + 16, x : x + 16] for y, x in [(1, 1), (0, 0), (0, 2), (2, 0), (2, 2)]]
    np.testing.assert_allclose(viewed(batch), average(model, cuts), atol=1e-6)


def test_scales_are_the_image_and_the_centre_of_a_larger_one(model):
    viewed, [own, larger] = with_views(model, [OWN], ["scales"])
    assert own == OWN
    assert (larger.height, larger.width) == (18, 18)
    batches = [images(own), images(larger)]
    wanted = average(model, [batches[0], batches[1][:, 1:17, 1:17]])
    np.testing.assert_allclose(viewed(batches), wanted, atol=1e-6)


def test_several_kinds_are_their_product(model):
    assert [len(views_of(kinds)) for kinds in (["flips"], ["crops"], ["flips", "scales"])] == [
        2,
        5,
        4,
    ]
    viewed, preparations = with_views(model, [OWN], ["flips", "crops", "scales"])
    assert [each.height for each in preparations] == [18, 21]
    batches = [images(each) for each in preparations]
    views = []
    for batch in batches:
        last = batch.shape[1] - 16
        places = [(round(last / 2),) * 2, (0, 0), (0, last), (last, 0), (last, last)]
        cuts = [batch[:, y : y + 16, x : x + 16] for y, x in places]
        views += [view for cut in cuts for view in (cut, cut[:, :, ::-1])]
    np.testing.assert_allclose(viewed(batches), average(model, views), atol=1e-6)


def test_it_is_the_same_when_it_is_loaded_again(model, tmp_path):
    viewed, preparations = with_views(model, [OWN], ["flips", "crops", "scales"])
    viewed.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    batches = [images(each) for each in preparations]
    np.testing.assert_allclose(again(batches), viewed(batches), atol=1e-6)


def test_an_image_gets_the_same_answer_in_any_batch():
    network = with_head(make_network())
    viewed, _ = with_views(network, [OWN], ["flips"])
    batch = images(OWN)
    alone = np.concatenate([viewed(batch[k : k + 1]) for k in range(len(batch))])
    np.testing.assert_allclose(viewed(batch), alone, atol=1e-6)


def test_a_model_with_several_inputs_sees_the_same_view_in_each(model):
    other = Preparation(14, 16, 10**6)
    small = keras.Input((14, 16, 3))
    pooled = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(small / 255))
    both = keras.Model([model.input, small], (model.output + pooled) / 2)
    viewed, preparations = with_views(both, [OWN, other], ["flips"])
    assert preparations == (OWN, other)
    batches = [images(OWN), images(other)]
    mirrored = [batch[:, :, ::-1] for batch in batches]
    np.testing.assert_allclose(viewed(batches), average(both, [batches, mirrored]), atol=1e-6)


def test_what_is_asked_for_is_checked():
    assert (
        check_tta("scales,flips") == check_tta(["flips", "scales", "flips"]) == ("flips", "scales")
    )
    assert check_tta("") == check_tta(()) == ()
    for wrong in ("flip", "flips crops", ["rotations"]):
        with pytest.raises(
            OptionError, match=r"^--tta must be one or more of flips, crops, scales"
        ):
            check_tta(wrong)
