"""What a user can do wrong: each with its message, exit code 2, and nothing left behind."""

import contextlib
import csv
import io
import json
import os
import shutil

import pytest
from PIL import Image

from tests.conftest import SMALL, draw_image, run_toolkit, write_images
from toolkit.cli import main


@pytest.fixture
def fail(tmp_path, capsys):
    """Runs `toolkit finetune`, which must fail; gives the message's lines."""

    def run(data, *options):
        models = tmp_path / "models"
        arguments = ["--data", data, "--models-dir", models, "--epochs", "1", "--image-size", "32"]
        assert main.run(["finetune", *map(str, [*arguments, *options])]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = [line for line in printed.err.splitlines() if line.startswith("Error: ")]
        message = printed.err[printed.err.index("Error: ") :].strip()
        assert len(lines) == 1 and len(message.splitlines()) <= 2, message
        assert not models.is_dir() or os.listdir(models) == []
        return message

    return run


def test_no_such_folder(fail, tmp_path):
    message = fail(tmp_path / "none")
    assert f"There is no folder {tmp_path / 'none'}" in message
    assert "sample:digits" in message
    assert "There is no folder sample:letters" in fail("sample:letters")


def test_a_file_is_no_folder(fail, tmp_path):
    draw_image((200, 40, 40), 0).save(tmp_path / "photo.jpg")
    assert "There is no folder" in fail(tmp_path / "photo.jpg")


def test_a_folder_without_class_folders(fail, tmp_path):
    (tmp_path / "data").mkdir()
    assert "has no class folders with images" in fail(tmp_path / "data")
    draw_image((200, 40, 40), 0).save(tmp_path / "data" / "photo.jpg")
    message = fail(tmp_path / "data")
    assert "at least two classes" in message and "has no class folders with images" in message


def test_one_class(fail, tmp_path):
    data = write_images(tmp_path / "data", 3, {"red": (200, 40, 40)})
    assert "has only the class 'red'" in fail(data)


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_with_too_few_images(fail, tmp_path, count):
    data = write_images(tmp_path / "data", 4)
    for path in sorted((data / "green").iterdir())[count:]:
        path.unlink()
    message = fail(data)
    assert "at least 3 different readable images" in message
    assert f"'green' has {count};" in message


def test_copies_do_not_count(fail, tmp_path):
    data = write_images(tmp_path / "data", 4)
    for path in (data / "green").iterdir():
        shutil.copy(data / "green" / "green-000.jpg", path.with_suffix(".jpeg"))
        path.unlink()
    assert "'green' has 1;" in fail(data)


def test_a_class_without_a_readable_file(fail, tmp_path):
    data = write_images(tmp_path / "data", 4)
    for path in (data / "green").iterdir():
        path.write_text("text")
    assert "'green' has 0 (4 unreadable files were left out)" in fail(data)


def test_a_class_whose_files_turn_out_to_be_damaged(fail, tmp_path):
    data = write_images(tmp_path / "data", 4)
    for path in (data / "green").iterdir():
        path.write_bytes(path.read_bytes()[:-400])
    assert "'green' has 0 (4 unreadable files were left out)" in fail(data)


def test_an_empty_validation_folder(fail, tmp_path):
    write_images(tmp_path / "data" / "train", 4)
    for name in ("red", "green", "blue"):
        (tmp_path / "data" / "val" / name).mkdir(parents=True)
    assert "validation has none" in fail(tmp_path / "data")


def test_a_class_that_is_only_tested(fail, tmp_path):
    write_images(tmp_path / "data" / "train", 4)
    write_images(tmp_path / "data" / "test", 2, {"purple": (200, 40, 200)}, first_seed=50)
    assert "does not know the class 'purple'" in fail(tmp_path / "data")


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--epochs", -1, "--epochs must be a whole number from 0"),
        ("--epochs", 1 << 40, "--epochs must be a whole number from 0"),
        ("--batch-size", 0, "--batch-size must be a whole number from 1"),
        ("--batch-size", 1 << 80, "--batch-size must be a whole number from 1"),
        ("--patience", 0, "--patience must be a whole number from 1"),
        ("--seed", -1, "--seed must be a whole number from 0"),
        ("--seed", 1 << 32, "--seed must be a whole number from 0"),
        ("--learning-rate", 0, "--learning-rate must be above 0 and at most 1"),
        ("--learning-rate", "nan", "--learning-rate must be above 0 and at most 1"),
        ("--learning-rate", 2e9, "--learning-rate must be above 0 and at most 1"),
        ("--learning-rate", "fast", "'--learning-rate': must be a number, or auto"),
        ("--monitor", "f1", "--monitor must be one of calibrated-loss, loss, accuracy"),
        ("--min-delta", "nan", "--min-delta must be from 0 to 1,000"),
        ("--time-budget", "soon", "--time-budget must be a time above 0 such as 90s, 20m"),
        ("--time-budget", "0m", "--time-budget must be a time above 0 such as 90s, 20m"),
        ("--time-budget", "1.5h", "--time-budget must be a time above 0 such as 90s, 20m"),
        ("--dropout", 1, "--dropout must be from 0 up to, not including, 1"),
        ("--dropout", -0.1, "--dropout must be from 0 up to, not including, 1"),
        ("--weight-decay", -1, "--weight-decay must be from 0 to 1"),
        ("--weight-decay", "inf", "--weight-decay must be from 0 to 1"),
        ("--max-pixels", 0, "--max-pixels must be from 1"),
        ("--split", "0.5,0.5", "--split must be auto, or three positive shares"),
        ("--split", "0.7,0.2,0.2", "--split must be auto, or three positive shares"),
        ("--split", "1.0,0,0", "--split must be auto, or three positive shares"),
        ("--split", "nan,0.5,0.5", "--split must be auto, or three positive shares"),
        ("--augment", "heavy", "--augment must be one of auto, none, light, light-no-flip"),
        ("--views", -1, "--views must be a whole number from 0"),
        ("--engine", "fast", "--engine must be one of auto, keras, openvino-float32, openvino-mi"),
        ("--cache-size", "much", "--cache-size must be a size such as 500MB, 20GB or 0."),
        ("--cache-size", -1, "--cache-size must be a size such as 500MB, 20GB or 0."),
        ("--unfreeze", -1, "--unfreeze must be a whole number from 0"),
        ("--unfreeze", 99, "--unfreeze must be at most 9, the backbone's stages (stem"),
        ("--stage-factor", 0, "--stage-factor must be above 0 and at most 1"),
        ("--name", "", "--name must be letters"),
        ("--name", "../up", "--name must be letters"),
        ("--name", ".hidden", "--name must be letters"),
        ("--name", "a/b", "--name must be letters"),
        ("--image-size", 1, "at least"),
        ("--image-size", -5, "at least"),
    ],
)
def test_a_value_that_an_option_cannot_have(fail, images, option, value, rule):
    message = fail(images, option, value)
    assert rule in message
    assert f"Received: {str(value)[:3]}" in message.replace("'", "")


def test_an_engine_that_is_not_installed(fail, images, monkeypatch):
    monkeypatch.setattr("toolkit.classifier.openvino.is_installed", lambda: False)
    message = fail(images, "--engine", "openvino-float32")
    assert message == (
        "Error: --engine openvino-float32 needs a package that is not installed: "
        "pip install openvino"
    )


def test_an_engine_that_cannot_run_the_backends_networks(fail, images, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    message = fail(images, "--engine", "openvino-bfloat16")
    assert message == (
        "Error: --engine must be auto or keras with KERAS_BACKEND=jax. "
        "Received: 'openvino-bfloat16'"
    )


def test_max_pixels_that_leave_no_image(fail, images):
    assert "has no class folders with images" in fail(images, "--max-pixels", 1)


@pytest.mark.parametrize(
    ("name", "nearest"), [("resnet5", "resnet50"), ("efficientnet-light0", "efficientnet-lite0")]
)
def test_an_unknown_backbone_gets_the_nearest_names(fail, images, name, nearest):
    message = fail(images, "--backbone", name)
    assert f"There is no backbone '{name}'. Did you mean: " in message
    assert nearest in message


def test_an_unknown_stage_gets_the_nearest_names(fail, images):
    message = fail(images, "--unfreeze", "block77")
    assert message.startswith("Error: There is no stage 'block77'. Did you mean: block7, block")
    assert message.endswith("or one of " + ", ".join(LITE0_STAGES) + ".")


LITE0_STAGES = ["stem", *(f"block{k}" for k in range(1, 8)), "top"]


def test_a_file_of_weights_that_is_not_there(fail, images, tmp_path):
    assert "none.h5" in fail(images, "--weights", tmp_path / "none.h5")


def test_a_file_that_holds_no_weights(fail, images, tmp_path):
    (tmp_path / "text.keras").write_text("text")
    assert "text.keras cannot be used" in fail(images, "--weights", tmp_path / "text.keras")


def test_a_models_folder_that_is_a_file(fail, images, tmp_path):
    (tmp_path / "models").write_text("a file")
    message = fail(images)
    assert f"--models-dir must be a folder that can be written. {tmp_path / 'models'}" in message


def test_a_models_folder_that_must_not_be_written(fail, images, tmp_path, monkeypatch):
    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)  # The superuser may write everywhere.
    assert "Permission denied" in fail(images)


def save_mixture(folder):
    """Good images of every kind and bad files; the names of both."""
    good = {
        "with space.jpg": lambda path: draw_image((200, 40, 40), 901).save(path),
        "quotes'\".jpg": lambda path: draw_image((200, 40, 40), 902).save(path),
        "größe-写真-🌈.jpg": lambda path: draw_image((200, 40, 40), 903).save(path),
        "[red]:smile:.JPG": lambda path: draw_image((200, 40, 40), 904).save(path, "JPEG"),
        "a,b;c\t.jpeg": lambda path: draw_image((200, 40, 40), 905).save(path),
        "no-suffix": lambda path: draw_image((200, 40, 40), 906).save(path, "JPEG"),
        "png-as.jpg": lambda path: draw_image((200, 40, 40), 907).save(path, "PNG"),
        "cmyk.jpg": lambda path: draw_image((200, 40, 40), 908).convert("CMYK").save(path),
        "grey.png": lambda path: draw_image((200, 40, 40), 909).convert("L").save(path),
        "alpha.png": lambda path: draw_image((200, 40, 40), 910).convert("RGBA").save(path),
        "palette.png": lambda path: draw_image((200, 40, 40), 911).quantize(64).save(path),
        "16-bit.png": lambda path: Image.new("I;16", (40, 40), 40_000).save(path),
        "animated.gif": lambda path: draw_image((200, 40, 40), 912).save(
            path, save_all=True, append_images=[draw_image((40, 200, 40), 913)]
        ),
        "photo.bmp": lambda path: draw_image((200, 40, 40), 914).save(path),
        "photo.webp": lambda path: draw_image((200, 40, 40), 915).save(path),
    }
    for name, save in good.items():
        save(folder / name)
    file = io.BytesIO()
    draw_image((200, 40, 40), 916).save(file, "JPEG")
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("text")
    (folder / "truncated.jpg").write_bytes(file.getvalue()[:-300])
    (folder / "page.html").write_text("<html>")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    (folder / "dangling.jpg").symlink_to(folder / "nowhere")
    (folder / ".hidden").write_text("passed over")
    bad = ["empty.jpg", "text.jpg", "truncated.jpg", "page.html", "huge.png", "dangling.jpg"]
    if os.geteuid() != 0:  # The superuser may read everything.
        draw_image((200, 40, 40), 917).save(folder / "unreadable.jpg")
        (folder / "unreadable.jpg").chmod(0)
        bad.append("unreadable.jpg")
    return list(good), bad


def test_a_mixture_of_files(finished, images, tmp_path):
    data = shutil.copytree(images, tmp_path / "colours")
    good, bad = save_mixture(data / "red")
    with contextlib.suppress(OSError):  # Some file systems take only names that are text.
        draw_image((200, 40, 40), 918).save(os.fsencode(data / "red") + b"/caf\xe9.jpg", "JPEG")
        good.append("caf\udce9.jpg")
    engine = finished.run["engine"]["features"]
    options = ["--image-size", 32, "--epochs", 0, "--seed", SMALL["seed"], "--engine", engine]
    options += ["--models-dir", tmp_path / "models"]
    done = run_toolkit("finetune", "--data", data, "--json", *options)
    assert done.returncode == 0, done.stderr

    [line] = done.stdout.splitlines()
    result = json.loads(line)
    assert result["chosen"] == "probe" and result["why"] == "nothing was tuned"
    extra = tmp_path / "models" / "colours" / "1" / "assets.extra"
    assert result["path"] == str(extra.parent)
    assert result["test"] == json.loads((extra / "metrics.json").read_text())["test"]
    same = result["run"]["engine"]["features"] == engine  # It is compared on other images.
    computed = result["run"]["features_computed"]
    assert computed == (len(good) if same else 60 + len(good)), "the others' are cached"
    assert result["run"]["data"]["left_out"] == len(bad)
    problems = read_csv(extra / "problems.csv")
    assert {row["path"] for row in problems} == {f"red/{name}" for name in bad}
    reasons = {row["path"].removeprefix("red/"): row["reason"] for row in problems}
    assert reasons["empty.jpg"] == "empty file"
    assert reasons["text.jpg"] == reasons["page.html"] == "not a JPEG, PNG, BMP, GIF or WebP image"
    assert reasons["truncated.jpg"].startswith("damaged")
    assert "pixels" in reasons["huge.png"]
    assert reasons["dangling.jpg"] == "No such file or directory"
    splits = {row["path"]: row["split"] for row in read_csv(extra / "splits.csv")}
    before = {row["path"]: row["split"] for row in read_csv(finished.bundle.extra / "splits.csv")}
    assert splits.keys() == before.keys() | {f"red/{name}" for name in good}
    assert before.items() <= splits.items(), "no image that was there changes its split"
    for name in bad:
        assert f"Left out: red/{name}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "Probe, " in done.stderr


def read_csv(path):
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))
