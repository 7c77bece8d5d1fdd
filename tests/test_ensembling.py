"""Ensembles of small saved classifiers, from the first to the last step."""

import json
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import toolkit
from tests.bundles import make_bundle, rows_of
from tests.conftest import draw_image, write_images
from toolkit.cli.main import run
from toolkit.data.prepare import Preparation
from toolkit.ensembles.calibration import apply_temperature, fit_temperature
from toolkit.ensembles.weights import convex_weights
from toolkit.errors import (
    BundleError,
    MemberError,
    OptionError,
)
from toolkit.serving import loaded

WEIGHTS = [0.5, 0.3, 0.2]
CLASSES = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def together(members, tmp_path_factory):
    """The three as one. Not to be changed."""
    folder = tmp_path_factory.mktemp("together")
    return toolkit.ensemble(members, "abc", weights=WEIGHTS, models_dir=folder, quiet=True)


@pytest.fixture(scope="module")
def served(together):
    return tf.saved_model.load(str(together.path)).signatures


def predictions(model, files):
    classifier = toolkit.load(model, "tensorflow")
    found = np.array([each.probabilities for each in classifier.predict(files)])
    return found[:, [classifier.classes.index(name) for name in CLASSES]]


def expected(members, files, average="arithmetic", weights=WEIGHTS):
    each = [predictions(member, files) for member in members]
    return toolkit.average_probabilities(each, average, weights)


def test_the_export_is_the_average_of_the_members_own_exports(together, served, members, images):
    files = sorted(images.rglob("*.jpg"))
    given = predictions(together.path, files)
    np.testing.assert_allclose(given, expected(members, files), atol=1e-5)
    assert together.run["export_difference"] < 1e-5
    answer = served["serving_default"](image_bytes=tf.constant([files[0].read_bytes()]))
    assert answer["label"].numpy()[0].decode() == CLASSES[given[0].argmax()]


def test_members_with_one_preparation_share_an_input(together, served):
    model = together.classifier.model
    assert [each.shape[1:3] for each in model.inputs] == [(8, 8), (12, 10)]
    assert [each.height for each in together.classifier.preparations] == [8, 12]
    assert len(served["network"].structured_input_signature[1]) == 2


def test_pixels_are_prepared_for_each_input(served, members):
    pixels = np.array(draw_image((200, 40, 40), 3))[None]
    given = served["pixels"](pixels=pixels)
    each = [tf.saved_model.load(str(member)).signatures["pixels"] for member in members]
    own = [signature(pixels=pixels)["probabilities"].numpy() for signature in each]
    own[2] = own[2][:, [1, 2, 0]]
    wanted = toolkit.average_probabilities(own, weights=WEIGHTS)
    np.testing.assert_allclose(given["probabilities"], wanted, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_batch_may_have_any_size(served, images, count):
    data = [path.read_bytes() for path in sorted(images.rglob("*.jpg"))[:count]]
    given = served["serving_default"](image_bytes=tf.constant(data, tf.string))
    assert given["probabilities"].shape == (count, 3)
    assert given["label"].shape == (count,)


def test_what_it_says_is_measured_on_images_that_no_member_has_seen(together, members):
    metrics = json.loads((together.path / "assets.extra" / "metrics.json").read_text())
    test = rows_of(members[0], "test")
    assert metrics["test"]["n"] == len(test)
    assert [row["digest"] for row in rows_of(together.path, "test")] == [
        row["digest"] for row in test
    ]
    assert [member["name"] for member in metrics["members"]] == ["a/1", "b/1", "c/1"]
    assert [member["weight"] for member in metrics["members"]] == WEIGHTS
    for member, path in zip(metrics["members"], members, strict=True):
        own = toolkit.load(path).metrics["test"]
        assert member["test"]["loss"] == pytest.approx(own["loss"], abs=1e-5)
        assert member["test"]["accuracy"] == own["accuracy"]
        assert member["bytes"] > 1000
        assert member["latency_ms"] > 0
        assert member["without"]["loss"] - metrics["test"]["loss"] == pytest.approx(
            member["without"]["loss_saved"], abs=1e-6
        )
    best = min(metrics["members"], key=lambda member: member["test"]["loss"])
    gain = metrics["gain"]
    assert gain["over"] == best["name"]
    assert gain["loss"] == pytest.approx(best["test"]["loss"] - metrics["test"]["loss"], abs=1e-6)
    assert np.shape(metrics["diversity"]["disagreement"]) == (3, 3)
    assert metrics["validation"]["n"] == len(rows_of(members[0], "validation"))
    assert metrics["recommended"] in ("ensemble", gain["over"])
    assert metrics["why"]


def test_its_record_tells_what_it_was_made_of(together, members):
    record = together.run
    assert [member["path"] for member in record["members"]] == list(map(str, members))
    assert record["options"]["weights"] == WEIGHTS
    splits = ("train", "validation", "test")
    assert record["data"]["images"] == {name: len(rows_of(members[0], name)) for name in splits}
    assert record["classes"] == ["blue", "green", "red"]
    assert "preparation" not in record


def test_evaluate_leaves_out_what_a_member_has_seen(together, images):
    measured = together.classifier.evaluate(images, quiet=True)
    assert measured.seen == 60 - together.metrics["test"]["n"]
    assert measured.metrics["loss"] == pytest.approx(together.metrics["test"]["loss"], abs=1e-6)


@pytest.fixture
def inputs_of_one_size(members, images, tmp_path, unchecked):
    """An ensemble whose inputs differ in nothing but how images are cropped. Not to be changed."""
    centre = Preparation(12, 10, 10**6)
    options = {"shares": (0.1, 0.7, 0.2), "preparation": centre, "seed": 4}
    other = make_bundle(tmp_path / "other", images, **options)
    shares = {"weights": [0.3, 0.7], "models_dir": tmp_path, "quiet": True}
    return toolkit.ensemble([other, members[1]], "sizes", **shares).path


def test_openvino_takes_all_inputs_in_their_order(together, inputs_of_one_size, images, caplog):
    files = sorted(images.rglob("*.jpg"))[::4]
    for model in (together.path, inputs_of_one_size):
        assert len(toolkit.load(model).preparations) == 2
        classifier = toolkit.load(model, "openvino-float32")
        given = np.array([each.probabilities for each in classifier.predict(files)])
        assert list(classifier._networks) == ["openvino-float32"]
        expected = [each.probabilities for each in toolkit.load(model, "tensorflow").predict(files)]
        np.testing.assert_allclose(given, expected, atol=1e-5)
    assert caplog.messages == [], "else the SavedModel itself was taken"


@pytest.fixture
def unchecked(monkeypatch):
    """Exports are not checked again: a process of its own each."""
    monkeypatch.setattr("toolkit.serving.save.check_parity", lambda *_: 0.0)
    monkeypatch.setattr("toolkit.serving.save._draw", lambda *_: None)


def test_weights_are_found_on_common_validation_images(members, images, tmp_path, unchecked):
    data = write_images(tmp_path / "more", 2, first_seed=900)
    seen = rows_of(members[1], "validation")[0]
    shutil.copy(images / seen["path"], data / "red" / "seen.jpg")
    options = {"weights": "convex", "calibrate": True, "data": data, "quiet": True}
    options["average"] = "arithmetic"
    result = toolkit.ensemble(members, "found", models_dir=tmp_path / "models", **options)
    rows = rows_of(members[0], "validation")
    labels = np.array([CLASSES.index(row["label"]) for row in rows])
    each = [predictions(member, [images / row["path"] for row in rows]) for member in members]
    found = [member["weight"] for member in result.metrics["members"]]
    np.testing.assert_allclose(found, convex_weights(labels, np.array(each)), atol=1e-5)
    averaged = toolkit.average_probabilities(each, weights=found)
    temperature = fit_temperature(labels, averaged, spread=0.3)
    assert result.metrics["calibration"]["temperature"] == pytest.approx(temperature, abs=1e-4)
    assert (result.path / "assets.extra" / "reliability.png").is_file()
    files = sorted(data.rglob("*.jpg"))
    wanted = apply_temperature(expected(members, files, weights=found), temperature)
    np.testing.assert_allclose(predictions(result.path, files), wanted, atol=1e-5)
    # A member without weight is no part of what is served.
    networks = [layer for layer in result.classifier.model.layers if isinstance(layer, keras.Model)]
    assert len(networks) == np.count_nonzero(found)
    # Other data was measured, but for the image that the members have seen.
    assert result.metrics["test"]["n"] == 6
    root = result.run["data"]["root"]
    tested = {f"{root}/{row['path']}" for row in rows_of(result.path, "test")}
    assert {*map(str, data.rglob("*.jpg"))} - tested == {str(data / "red" / "seen.jpg")}


@pytest.fixture(scope="module")
def viewed(members, tmp_path_factory):
    """Two of them, which see five crops and their mirror images. Not to be changed."""
    folder = tmp_path_factory.mktemp("viewed")
    both = [members[0], members[2]]
    return toolkit.ensemble(both, "ac", tta="crops,flips", models_dir=folder, quiet=True)


def test_the_export_averages_the_members_over_several_views(viewed, members):
    assert viewed.run["options"]["tta"] == ["flips", "crops"] and viewed.run["tta_views"] == 10
    [larger] = viewed.classifier.preparations
    assert (larger.height, larger.width) == (9, 9)
    assert viewed.run["export_difference"] < 1e-5
    pixels = np.array(draw_image((200, 40, 40), 3, size=(9, 9)))[None]
    served = tf.saved_model.load(str(viewed.path)).signatures["pixels"]
    cuts = [pixels[:, y : y + 8, x : x + 8] for y, x in [(0, 0)] * 2 + [(0, 1), (1, 0), (1, 1)]]
    views = np.concatenate([*cuts, *(cut[:, :, ::-1] for cut in cuts)]).astype(np.float32)
    own = [np.asarray(toolkit.load(members[k]).model(views)) for k in (0, 2)]
    wanted = (own[0] + own[1][:, [1, 2, 0]]).mean(axis=0) / 2
    given = served(pixels=tf.constant(pixels))["probabilities"].numpy()
    np.testing.assert_allclose(given[0], wanted, atol=1e-5)


def test_views_take_no_more_memory_than_images(viewed, images, monkeypatch):
    sizes, ask = [], loaded.ask

    def note(model, data):
        sizes.append(len(data))
        return ask(model, data)

    monkeypatch.setattr(loaded, "ask", note)
    files = [images / row["path"] for row in rows_of(viewed.path, "test")]
    assert len(list(toolkit.load(viewed.path).predict_each(files))) == len(files) > 3
    assert max(sizes) == 3, "32 images at once, if each is ten"


def test_views_are_compared_with_none(viewed, members, images):
    metrics = viewed.metrics
    files = [images / row["path"] for row in rows_of(viewed.path, "test")]
    labels = [CLASSES.index(row["label"]) for row in rows_of(viewed.path, "test")]
    both = [members[0], members[2]]
    plain = expected(both, files, weights=[0.5, 0.5])
    loss = -np.log(plain[range(len(labels)), labels]).mean()
    assert metrics["views"]["without"]["loss"] == pytest.approx(loss, abs=1e-5)
    assert metrics["views"]["gain"]["loss"] == pytest.approx(
        metrics["views"]["without"]["loss"] - metrics["test"]["loss"], abs=1e-6
    )
    with_views = predictions(viewed.path, files)
    loss = -np.log(with_views[range(len(labels)), labels]).mean()
    assert metrics["test"]["loss"] == pytest.approx(loss, abs=1e-5)
    for member, path in zip(metrics["members"], both, strict=True):
        assert member["test"]["loss"] == pytest.approx(
            toolkit.load(path).metrics["test"]["loss"], abs=1e-5
        )
        assert member["with_views"]["loss"] != member["test"]["loss"]


def test_with_views_one_model_is_enough(members, tmp_path, unchecked, monkeypatch, capsys):
    result = toolkit.ensemble(
        members[0], "one", tta=["scales"], calibrate=True, models_dir=tmp_path, quiet=True
    )
    assert [each.height for each in result.classifier.preparations] == [8, 9]
    [member] = result.metrics["members"]
    assert member["without"] is None
    assert member["weight"] == 1
    monkeypatch.setattr("toolkit.ensembling.ensemble", lambda *_, **__: result)
    assert run(["ensemble", str(members[0]), "--name", "one", "--tta", "scales"]) == 0
    printed = capsys.readouterr().out
    assert "without views" in printed
    assert "Several views of each image save" in printed


def refused(error, models, tmp_path, match, **options):
    with pytest.raises(error, match=match) as caught:
        toolkit.ensemble(models, "x", models_dir=tmp_path / "none", quiet=True, **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "none" / "x").exists()


def test_what_is_no_set_of_members_is_refused(members, tmp_path):
    refused(MemberError, members[:1], tmp_path, "at least two different models")
    refused(MemberError, str(members[0]), tmp_path, "at least two different models")
    newest = members[0].parent
    refused(MemberError, [members[0], newest], tmp_path, "different models.*twice. Give it once")
    refused(BundleError, [members[0], tmp_path / "gone"], tmp_path, "there is no such folder")


def test_members_of_other_classes_are_refused_with_the_difference(members, tmp_path):
    colours = {"red": (200, 40, 40), "green": (40, 200, 40), "grey": (90, 90, 90)}
    data = write_images(tmp_path / "data", 5, colours)
    other = make_bundle(tmp_path / "other", data)
    match = r"same classes\. Received: a/1 alone knows 'blue'; other/1 alone knows 'grey'\. Leave"
    refused(MemberError, [members[0], other], tmp_path, match)


@pytest.mark.parametrize(
    "file", ["saved_model.pb", "assets.extra/model.keras", "assets.extra/splits.csv"]
)
def test_a_damaged_member_is_named_by_file(members, tmp_path, file):
    copy = shutil.copytree(members[0], tmp_path / "copy" / "1")
    (copy / file).write_bytes(b"\x01")
    refused(BundleError, [members[1], copy], tmp_path, file.rpartition("/")[2])


@pytest.mark.parametrize(
    "weights", [[1], [0.5, 0.3, 0.2], [0.5, -0.1], [0, 0], "0.5,x", "best", "nan,1", 0.5]
)
def test_weights_that_do_not_fit_are_refused(members, tmp_path, weights):
    refused(
        OptionError, members[:2], tmp_path, "^--weights must be equal.*2 numbers", weights=weights
    )


def test_options_that_do_not_fit_are_refused(members, tmp_path):
    refused(OptionError, members[:2], tmp_path, "--average must be one of", average="median")
    match = "--weights must be equal, greedy or numbers with --average majority"
    refused(OptionError, members[:2], tmp_path, match, average="majority", weights="convex")
    refused(OptionError, members[:1], tmp_path, "--tta must be one or more of", tta="rotations")


def test_the_command_prints_the_evidence(together, members, monkeypatch, capsys):
    given = {}

    def ensemble(models, **options):
        given.update(options, models=models)
        return together

    monkeypatch.setattr("toolkit.ensembling.ensemble", ensemble)
    arguments = ["ensemble", *map(str, members), "--name", "abc", "--weights", "0.5,0.3,0.2"]
    assert run(arguments) == 0
    printed = capsys.readouterr().out
    n = together.metrics["test"]["n"]
    for part in (
        f"On {n} test images",
        "a/1",
        "0.300",
        "together",
        "Calibration error",
        "toolkit predict",
    ):
        assert part in printed
    assert given["models"] == tuple(map(str, members))
    assert (given["name"], given["weights"], given["data"]) == ("abc", "0.5,0.3,0.2", None)
    assert run([*arguments, "--json", "--data", "photos.csv"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(together.path)
    assert given["data"].location == "photos.csv"
    assert run([*arguments, "--columns", "path=file"]) == 2
    assert "--columns says more of --data" in capsys.readouterr().err


def test_the_command_says_what_calibration_did(together, monkeypatch, capsys):
    before = {"loss": 0.5, "expected_calibration_error": 0.08, "brier_score": 0.3}
    after = {"loss": 0.45, "expected_calibration_error": 0.02, "brier_score": 0.3}
    calibration = {"temperature": 0.8, "before": before, "after": after}
    metrics = {**together.metrics, "calibration": calibration}
    scaled = SimpleNamespace(path=together.path, metrics=metrics, run=together.run)
    monkeypatch.setattr("toolkit.ensembling.ensemble", lambda *_, **__: scaled)
    assert run(["ensemble", "a", "b", "--name", "ab", "--calibrate"]) == 0
    printed = capsys.readouterr().out
    assert "Temperature 0.800" in printed
    assert "8.00% before, 2.00% after; log-loss 0.5000 before, 0.4500 after" in printed


def test_a_users_mistake_is_one_line(members, capsys):
    assert run(["ensemble", str(members[0]), "--name", "one"]) == 2
    assert "at least two different models" in capsys.readouterr().err
