import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.text import Text
from PIL import Image

from toolkit.evaluation import pictures
from toolkit.evaluation.pictures import canvas, names
from toolkit.evaluation.pictures.augmentations import augmentations_figure
from toolkit.evaluation.pictures.confusion_matrix import confusion_matrix_figure
from toolkit.evaluation.pictures.learning_curves import learning_curves_figure
from toolkit.evaluation.pictures.mistakes import mistakes_figure
from toolkit.evaluation.pictures.reliability import reliability_figure

ODD_NAMES = ["$x_1$ & $y$", "日本語", 'it\'s "q" \\frac{', "قطة 🐈", "two\nlines", "", "m" * 3000]
PROBE = {"loss": 0.25, "accuracy": 0.9}


def history(epochs, best=3):
    return [
        {
            "epoch": epoch,
            "loss": 1 / epoch,
            "accuracy": 1 - 0.5 / epoch,
            "val_loss": 0.1 + 0.01 * abs(epoch - best),
            "val_accuracy": 0.97,
            "learning_rate": 3e-4,
        }
        for epoch in range(1, epochs + 1)
    ]


def picture(height=40, width=60, value=128):
    return np.full((height, width, 3), value, np.uint8)


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def boxes(figure, kept):
    """The drawn boxes of the texts that `kept` accepts, by their text, in pixels."""
    with canvas.missing_glyphs_allowed():
        figure.draw_without_rendering()
        found = [t for t in figure.findobj(Text) if t.get_visible() and kept(t.get_text())]
        return [(text.get_text(), text.get_window_extent()) for text in found]


def is_cut(figure, box):
    width, height = figure.bbox.size
    return box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1


def draw_all(folder):
    """One of each picture, with names of every kind."""
    k = len(ODD_NAMES)
    labels = np.arange(k)
    pictures.learning_curves(history(5), PROBE, folder / "curves.png")
    pictures.confusion_matrix(labels, labels[::-1], ODD_NAMES, folder / "confusion.png")
    pictures.mistakes(
        [picture()] * k, labels, labels[::-1], [0.5] * k, ODD_NAMES, ODD_NAMES,
        folder / "mistakes.png", n=100,
    )  # fmt: skip
    pictures.augmentations([picture()], [[picture(8, 8), picture()]], folder / "augmented.png")
    return sorted(folder.glob("*.png"))


def test_every_picture_is_a_png_and_the_same_each_time(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = draw_all(tmp_path / "a"), draw_all(tmp_path / "b")
    assert len(first) == 4
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        with Image.open(one) as image:
            assert image.format == "PNG"
            assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_size_in_pixels_is_inches_times_dpi(tmp_path):
    figure = learning_curves_figure(history(5), PROBE)
    canvas.save(figure, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (1200, 552)


def test_pictures_touch_nothing_global_and_need_no_framework(tmp_path):
    code = """
import sys
import toolkit.evaluation, toolkit.evaluation.metrics
assert "matplotlib" not in sys.modules and "sklearn" not in sys.modules
import matplotlib
before = repr(matplotlib.rcParams.copy())  # uncopied, it would choose a backend
from toolkit.evaluation import pictures
pictures.learning_curves([], {"loss": 1.0, "accuracy": 0.5}, sys.argv[1])
pictures.confusion_matrix([0, 1], [0, 1], ["a", "b"], sys.argv[1])
assert repr(matplotlib.rcParams.copy()) == before
print([name for name in ("matplotlib.pyplot", "keras", "tensorflow") if name in sys.modules])
"""
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "x.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_names_are_never_read_as_formulae(tmp_path):
    wrong = r"$\frac{$"  # matplotlib would refuse it
    classes = [f"{wrong} {i}" for i in range(30)]
    pictures.confusion_matrix([0, 1, 2], [1, 1, 2], classes, tmp_path / "confusion.png")
    figure = confusion_matrix_figure([0, 1, 2], [1, 1, 2], classes)
    assert f"{wrong} 0 → {wrong} 1" in texts(figure)


class TestReliability:
    def test_full_bins_are_drawn_and_empty_ones_left_out(self, tmp_path):
        bins = SimpleNamespace(
            edges=np.linspace(0, 1, 5),
            counts=np.array([0, 1, 0, 3]),
            confidence=np.array([np.nan, 0.4, np.nan, 0.9]),
            accuracy=np.array([np.nan, 0.0, np.nan, 1.0]),
            error=0.175,
        )
        figure = reliability_figure({"before": bins, "after": bins})
        upper, lower = figure.axes
        labels = [text.get_text() for text in upper.get_legend().get_texts()]
        assert labels == ["before: calibration error 17.5 %", "after: calibration error 17.5 %"]
        assert list(upper.lines[1].get_xdata()) == [0.4, 0.9]
        assert list(upper.lines[1].get_ydata()) == [0, 1]
        assert len(lower.patches) == 2
        pictures.reliability({"together": bins}, tmp_path / "reliability.png")
        assert (tmp_path / "reliability.png").stat().st_size > 1000


class TestLearningCurves:
    def test_curves_probe_and_best_epoch(self):
        loss, accuracy = learning_curves_figure(history(8, best=3), PROBE, 3).axes
        labels = [text.get_text() for text in loss.get_legend().get_texts()]
        assert labels == ["training", "validation", "probe: 0.2500", "best epoch, 3: 0.1000"]
        lines = {line.get_label(): line for line in accuracy.lines}
        assert list(lines["training"].get_xdata()) == list(range(1, 9))
        assert lines["validation"].get_ydata()[0] == 0.97
        assert list(lines["probe: 90.0 %"].get_ydata()) == [0.9, 0.9]
        assert lines["probe: 90.0 %"].get_linestyle() == "--"
        assert lines["best epoch, 3: 97.0 %"].get_xdata() == 3

    def test_the_calibrated_loss_is_a_curve_of_its_own(self):
        rows = [row | {"val_calibrated_loss": 0.3 - 0.01 * row["epoch"]} for row in history(8)]
        loss, accuracy = learning_curves_figure(rows, PROBE, 8).axes
        lines = {line.get_label(): line for line in loss.lines}
        assert lines["validation, calibrated"].get_ydata()[-1] == pytest.approx(0.22)
        assert lines["best epoch, 8: 0.1500"].get_xdata() == 8
        assert "validation, calibrated" not in {line.get_label() for line in accuracy.lines}

    def test_without_history_only_the_probe(self):
        for axes in learning_curves_figure([], PROBE).axes:
            assert len(axes.lines) == 1
            assert axes.get_xlabel() == "no epoch of fine-tuning was run"

    def test_one_epoch_is_one_tick(self):
        figure = learning_curves_figure(history(1, best=1), PROBE, 1)
        figure.draw_without_rendering()
        axes = figure.axes[0]
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]

    def test_no_best_epoch_is_not_marked(self):
        assert "best" not in " ".join(texts(learning_curves_figure(history(3), PROBE)))

    def test_diverged_epochs_can_be_drawn(self, tmp_path):
        rows = [row | {"val_loss": float("nan")} for row in history(3)]
        rows[1]["val_loss"] = 5.0
        rows[2]["loss"] = float("inf")
        assert "best epoch, 2: 5.0000" in texts(learning_curves_figure(rows, PROBE, 2))
        pictures.learning_curves(rows, PROBE, tmp_path / "curves.png", 2)


class TestConfusionMatrix:
    def test_counts_title_and_names(self):
        figure = confusion_matrix_figure([0, 0, 0, 1], [0, 0, 1, 1], ["cat", "dog"])
        matrix = figure.axes[1]
        assert sorted(text.get_text() for text in matrix.texts) == ["1", "1", "2"]
        assert [label.get_text() for label in matrix.get_yticklabels()] == ["cat", "dog"]
        assert "Accuracy 75.0 % on 4 images" in texts(figure)

    def test_colours_are_shares_of_the_row(self):
        figure = confusion_matrix_figure([0] * 4 + [1], [0, 0, 0, 1, 1], ["cat", "dog"])
        assert figure.axes[1].images[0].get_array().tolist() == [[0.75, 0.25], [0, 1]]

    @pytest.mark.parametrize("k", [2, 10, 37, 100])
    def test_a_perfect_matrix_has_a_dark_diagonal(self, tmp_path, k):
        labels = np.arange(k)
        figure = confusion_matrix_figure(labels, labels, [f"class {i}" for i in range(k)])
        canvas.save(figure, tmp_path / "confusion.png")
        with Image.open(tmp_path / "confusion.png") as image:
            grey = np.asarray(image.convert("L")).astype(float)
        # A quarter into each cell, beside its count.
        cells = np.stack(np.meshgrid(labels, labels), axis=-1).reshape(-1, 2) - 0.25
        at = figure.axes[1].transData.transform(cells)
        shade = grey[len(grey) - 1 - at[:, 1].astype(int), at[:, 0].astype(int)].reshape(k, k)
        assert shade.diagonal().max() < 70
        assert shade[~np.eye(k, dtype=bool)].min() > 240

    def test_many_classes_list_their_most_confused_pairs(self):
        labels = np.repeat(np.arange(30), 10)
        predicted = labels.copy()
        predicted[:3], predicted[15] = 7, 2
        figure = confusion_matrix_figure(labels, predicted, [f"class {i}" for i in range(30)])
        listed = [text.get_text() for text in figure.axes[-1].texts]
        assert listed[1:] == ["class 0 → class 7", "3", "30 %", "class 1 → class 2", "1", "10 %"]
        assert not figure.axes[1].texts

    def test_no_confusion_vanishes_among_a_thousand_classes(self):
        labels = np.repeat(np.arange(1000), 5)
        predicted = labels.copy()
        predicted[0] = 999
        figure = confusion_matrix_figure(labels, predicted, [f"class {i}" for i in range(1000)])
        grid = figure.axes[1].images[0].get_array()
        assert grid[0, -1] == pytest.approx(0.2)
        assert np.count_nonzero(grid) == len(grid) + 1
        assert "class 0 → class 999" in texts(figure)

    @pytest.mark.parametrize("k", [2, 10, 20, 37, 50])
    def test_long_names_are_shortened_and_whole(self, k):
        classes = [f"a very long and winding name of a class {i}" for i in range(k)]
        figure = confusion_matrix_figure(np.arange(k), np.arange(k), classes)
        drawn = boxes(figure, lambda text: text.startswith("a very") or text.endswith("class"))
        assert len(drawn) == 2 * k + 3
        assert not [text for text, box in drawn if is_cut(figure, box)]
        for (_, one), (_, other) in itertools.combinations(drawn, 2):
            assert not one.padded(-1).overlaps(other.padded(-1))

    def test_a_class_without_images_and_no_images_at_all(self, tmp_path):
        pictures.confusion_matrix([0], [0], ["cat", "dog"], tmp_path / "one.png")
        assert "Accuracy - on 0 images" in texts(confusion_matrix_figure([], [], ["cat", "dog"]))


class TestMistakes:
    def test_order_is_by_confidence_and_only_mistakes(self):
        probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
        found = pictures.most_confident_mistakes([1, 1, 1, 0], probabilities)
        assert found.tolist() == [1, 0, 3]

    def test_captions(self, tmp_path):
        figure = mistakes_figure(
            [picture()], [("a.jpg", "cat", "dog", "98.7 %")], n=516, n_mistakes=3
        )
        shown = texts(figure)
        assert shown[0] == "1 of 3 mistakes on 516 images"
        assert shown[2:] == ["a.jpg", "cat", "→ dog", "98.7 %"]

    def test_at_most_24_are_shown(self):
        figure = mistakes_figure(
            [picture(9, 5)] * 30, [("a", "b", "c", "d")] * 30, n=99, n_mistakes=30
        )
        assert len(figure.axes[0].images) == 24
        assert "24 of 30 mistakes on 99 images" in texts(figure)

    @pytest.mark.parametrize(("n", "said"), [(1, "1 image"), (12345, "12,345 images")])
    def test_none(self, tmp_path, n, said):
        figure = mistakes_figure([], [], n=n, n_mistakes=0)
        assert texts(figure) == [f"No mistakes on {said}"]
        pictures.mistakes([], [], [], [], [], ["cat"], tmp_path / "none.png", n=n)
        assert (tmp_path / "none.png").exists()

    @pytest.mark.parametrize("count", [1, 7, 24])
    def test_nothing_overlaps_and_nothing_is_cut(self, count):
        name = "a very long and winding name"
        captions = [(f"{name}.jpg", name, f"W{name}", "100.0 %")] * count
        figure = mistakes_figure([picture()] * count, captions, n=10**6, n_mistakes=10**5)
        drawn = boxes(figure, bool)
        assert len(drawn) == 2 + 4 * count
        assert not [text for text, box in drawn if is_cut(figure, box)]
        for (_, one), (_, other) in itertools.combinations(drawn, 2):
            assert not one.padded(-1).overlaps(other.padded(-1))

    def test_images_keep_their_aspect_and_colour(self, tmp_path):
        red = np.zeros((30, 90, 3), np.uint8)
        red[..., 0] = 255
        path = tmp_path / "mistakes.png"
        pictures.mistakes([red], [0], [1], [0.9], ["a.png"], ["cat", "dog"], path, n=5)
        with Image.open(path) as image:
            rows, columns = np.nonzero((np.asarray(image)[..., :3] == [255, 0, 0]).all(axis=2))
        assert np.ptp(columns) == pytest.approx(1.7 * canvas.DPI, abs=3)
        assert np.ptp(rows) == pytest.approx(1.7 * canvas.DPI / 3, abs=3)

    def test_lists_of_different_lengths_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="argument 2"):
            pictures.mistakes([picture()], [0], [1], [0.9], [], ["a", "b"], tmp_path / "x", n=1)


class TestAugmentations:
    @pytest.mark.parametrize(("rows", "draws"), [(8, 5), (1, 1), (3, 0), (0, 0)])
    def test_one_row_an_image(self, tmp_path, rows, draws):
        originals = [picture(20 + i, 30) for i in range(rows)]
        figure = augmentations_figure(originals, [[picture()] * draws] * rows)
        assert len(figure.axes[0].images) == rows * (1 + draws)
        assert not [text for text, box in boxes(figure, bool) if is_cut(figure, box)]
        canvas.save(figure, tmp_path / "augmented.png")

    def test_originals_come_first(self):
        figure = augmentations_figure([picture(value=7)], [[picture(value=9)] * 2])
        shown = sorted(figure.axes[0].images, key=lambda image: image.get_extent()[0])
        assert [image.get_array().max() for image in shown] == [7, 9, 9]

    @pytest.mark.parametrize(
        "image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 0, 3), np.uint8)]
    )
    def test_other_arrays_are_refused(self, image):
        with pytest.raises(ValueError, match=r"uint8 with shape \[H, W, 3\]. Received: "):
            augmentations_figure([image], [[]])

    @pytest.mark.parametrize("draws", [0, 1, 6])
    def test_draws_that_are_taken_for_another_class_come_below(self, tmp_path, draws):
        pairs = [
            pictures.TurnedPair(picture(20, 30), picture(), label, other, 0.97)
            for label, other in zip(ODD_NAMES, reversed(ODD_NAMES), strict=True)
        ]
        turned = [("HorizontalFlip turns 31% of 240 draws: " + "x" * 500, pairs), ("Affine", [])]
        plain = augmentations_figure([picture()], [[picture()] * draws])
        figure = augmentations_figure([picture()], [[picture()] * draws], turned)
        assert figure.get_figheight() > plain.get_figheight() + 2 * 1.2
        assert figure.get_figwidth() == plain.get_figwidth()
        shown = len(figure.axes[0].images) - 1 - draws
        assert shown == 2 * (1 if draws < 6 else 3)
        assert not [text for text, box in boxes(figure, bool) if is_cut(figure, box)]
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert (
            sum(text.startswith("→ ") and text.endswith(" (97 %)") for text in texts) * 2 == shown
        )
        canvas.save(figure, tmp_path / "augmented.png")


class TestNames:
    @pytest.mark.parametrize("inches", [0.3, 1.0, 1.5])
    @pytest.mark.parametrize("name", ["W" * 50, "i" * 500, "日本語の" * 20, "a/b_c " * 10**5])
    def test_shortened_names_fit_and_no_letter_more_would(self, name, inches):
        short = names.shorten(name, inches, 8)
        assert names.width(short, 8) <= inches
        head, tail = short.split("…")
        assert name.startswith(head)
        assert name.endswith(tail)
        keep = len(head) + len(tail) + 1
        longer = f"{name[: keep - keep // 2]}…{name[len(name) - keep // 2 :]}"
        assert names.width(longer, 8) > inches

    @pytest.mark.parametrize("name", ["cat", "", "$a$"])
    def test_names_that_fit_stay(self, name):
        assert names.shorten(name, 1.0, 8) == name

    def test_what_cannot_be_printed_is_replaced(self):
        assert names.shorten("a\nb\x00\udcff", 2.0, 8) == "a\ufffdb\ufffd\ufffd"

    def test_a_font_that_has_the_letters_is_found(self, tmp_path, monkeypatch):
        manager = font_manager.fontManager
        monkeypatch.setattr(manager, "ttflist", [*manager.ttflist])
        rare = "\U000f1234"  # of a private area: in no other font
        assert names.plain(f"b{rare}")["fontfamily"] == ["DejaVu Sans"]
        names._fallbacks.cache_clear()
        manager.addfont(tiny_font(tmp_path / "tiny.ttf", rare))
        assert names.plain(["ab", f"c{rare}"])["fontfamily"] == ["DejaVu Sans", "Tiny"]
        assert names.plain("abc")["fontfamily"] == ["DejaVu Sans"]
        names._fallbacks.cache_clear()
        (tmp_path / "tiny.ttf").unlink()  # uninstalled since matplotlib listed the fonts
        font_manager._get_font.cache_clear()
        assert names.plain(rare)["fontfamily"] == ["DejaVu Sans"]
        names._fallbacks.cache_clear()


def tiny_font(path, character):
    """Writes a font that has one character, a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 500), (500, 500), (500, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(character): "square"})
    builder.setupGlyf({".notdef": square, "square": square})
    builder.setupHorizontalMetrics({".notdef": (600, 0), "square": (600, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Tiny", "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    builder.save(path)
    return path
