"""`toolkit audit`: planted faults are found, a page shows them, and what it lists is left out."""

import csv
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toolkit
from tests.conftest import as_plain_user
from toolkit.cli import main
from toolkit.data.sources import list_source
from toolkit.errors import ManifestError, NoImagesError, NotWritableError, OptionError

SIDE, BICUBIC = 72, Image.Resampling.BICUBIC
SPLITS = ("train", "val", "test")


def draw(seed: int, colour: int) -> Image.Image:
    """A smooth picture unlike others, mostly of one of three colours."""
    random = np.random.default_rng(seed)
    pixels = np.full((SIDE, SIDE, 3), 60.0)
    pixels[..., colour] += 90
    for cells in (3, 6, 12, 24):  # Coarse shapes and fine ones, as in photos.
        shapes = random.normal(0, 60 / cells**0.5, (cells, cells))
        pixels += np.asarray(Image.fromarray(shapes).resize((SIDE, SIDE), BICUBIC))[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three classes in three splits, with faults that their names tell."""
    folder = tmp_path_factory.mktemp("audit") / "photos"
    for colour, name in enumerate(("red", "green", "blue")):
        for place, split in enumerate(SPLITS):
            (folder / split / name).mkdir(parents=True)
            for k in range(30):
                seed = 1000 * colour + 100 * place + k
                data = encode(draw(seed, colour), quality=95)
                (folder / split / name / f"{k:02}.jpg").write_bytes(data)
    whole = (folder / "train/red/00.jpg").read_bytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "train/red/cut.jpg": whole[: len(whole) // 2],
        "val/red/note.jpg": b"Dear diary",
        "train/green/extension.png": encode(draw(9001, 1)),
        "train/blue/turned.jpg": encode(draw(9002, 2), exif=exif),
        "test/red/leaked.jpg": (folder / "train/red/05.jpg").read_bytes(),
        "val/green/resaved.jpg": encode(draw(1007, 1), quality=60),
        "train/blue/labelled-twice.jpg": (folder / "train/green/08.jpg").read_bytes(),
        "train/blue/copy.jpg": (folder / "train/blue/09.jpg").read_bytes(),
        "test/blue/tiny.png": encode(draw(9003, 2).resize((20, 20)), "PNG"),
        "test/blue/<script>alert(1)</script>.png": encode(Image.new("RGB", (80, 80)), "PNG"),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def result(folder, tmp_path_factory) -> toolkit.AuditResult:
    return toolkit.audit(folder, tmp_path_factory.mktemp("out") / "audit", quiet=True)


def suspects(result: toolkit.AuditResult) -> dict[str, list[str]]:
    return {finding.kind: [s.path for s in finding.suspects] for finding in result.findings}


def quarantined(result: toolkit.AuditResult) -> dict[str, str]:
    with open(result.quarantine, newline="", encoding="utf-8") as file:
        return {row["path"]: row["kind"] for row in csv.DictReader(file)}


def test_each_planted_fault_is_found_under_its_name_and_nothing_else(result):
    assert suspects(result) == {
        "two-labels": ["train/blue/labelled-twice.jpg", "train/green/08.jpg"],
        "leak": ["train/red/05.jpg"],
        "near-leak": ["train/green/07.jpg"],
        "unreadable": ["val/red/note.jpg", "train/red/cut.jpg"],
        "extension": ["train/green/extension.png"],
        "small": ["test/blue/tiny.png"],
        "blank": ["test/blue/<script>alert(1)</script>.png"],
        "copies": ["train/blue/copy.jpg"],
        "rotated": ["train/blue/turned.jpg"],
    }
    severities = [finding.severity for finding in result.findings]
    assert severities == sorted(severities, reverse=True), "the most important first"
    assert result.images == 270 + 10 - 2


def test_what_is_certain_goes_into_quarantine_and_nothing_is_changed(result, folder):
    assert quarantined(result) == {
        "train/blue/labelled-twice.jpg": "two-labels",
        "train/green/08.jpg": "two-labels",
        "train/red/05.jpg": "leak",
        "train/green/07.jpg": "near-leak",
        "val/red/note.jpg": "unreadable",
        "train/red/cut.jpg": "unreadable",
        "train/blue/copy.jpg": "copies",
    }
    assert sum(path.is_file() for path in folder.rglob("*")) == 280


def test_what_is_in_quarantine_is_left_out(result, folder, tmp_path):
    before, after = (
        list_source(toolkit.Source(folder, exclude=exclude))
        for exclude in (None, result.quarantine)
    )
    left_out = {file.path for file in before.files} - {file.path for file in after.files}
    assert left_out == set(quarantined(result))
    again = toolkit.audit(
        toolkit.Source(folder, exclude=result.quarantine), tmp_path / "again", quiet=True
    )
    assert set(suspects(again)) == {"extension", "small", "blank", "rotated"}


class Page(HTMLParser):
    """What a browser would load and run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        named = dict(attributes)
        self.sources += [named[name] for name in ("src", "href") if name in named]


def test_the_page_is_whole_in_itself_and_runs_nothing(result):
    text = result.page.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags
    outside = [s for s in page.sources if not s.startswith(("data:image/jpeg;base64,", "#"))]
    assert outside == [], "and nothing is fetched"
    assert "&lt;script&gt;alert(1)" in text
    for finding in result.findings:
        assert finding.title in text and finding.advice in text
    ids = re.findall(r'<section id="([^"]+)"', text)
    assert {s[1:] for s in page.sources if s.startswith("#")} >= set(ids) and len(ids) == 9
    assert text.count("<img ") == sum(
        (s.path not in quarantined(result) or quarantined(result)[s.path] != "unreadable")
        + bool(s.beside)
        for finding in result.findings
        for s in finding.suspects
    )


def test_the_record_says_the_same(result):
    record = json.loads((result.folder / "audit.json").read_text(encoding="utf-8"))
    assert record["images"] == result.images and record["classes"] == {
        "blue": 95,
        "green": 92,
        "red": 91,
    }
    assert [each["kind"] for each in record["findings"]] == [f.kind for f in result.findings]
    assert record["findings"][0]["severity"] == "serious"
    assert record["findings"][0]["suspects"][0]["path"] == "train/blue/labelled-twice.jpg"


def test_wrong_labels_are_found_by_features(folder, tmp_path):
    wrong = tmp_path / "photos"
    for colour, name in enumerate(("red", "green", "blue")):
        (wrong / name).mkdir(parents=True)
        for k in range(25):
            shown = (colour + 1) % 3 if k == 7 else colour
            image = draw(500 * colour + k, shown)
            (wrong / name / f"{k:02}.jpg").write_bytes(encode(image))
    result = toolkit.audit(wrong, tmp_path / "a", backbone="efficientnet-lite0", quiet=True)
    found = suspects(result)["label"]
    assert set(found[:6]) >= {f"{name}/07.jpg" for name in ("red", "green", "blue")}
    assert quarantined(result) == {}, "a person has to look"
    assert result.remarks == []


def test_the_command_prints_the_worst_first(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.run(["audit", str(folder), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "278 images: 9 findings"
    assert lines[1].startswith("serious   2 images identical to one with another label.")
    assert any(line.startswith("Labels were not checked: --backbone") for line in lines)
    assert lines[-1] == "Look at audit/audit.html"
    assert sorted(os.listdir("audit")) == ["audit.html", "audit.json", "quarantine.csv"]

    assert main.run(["audit", str(folder), "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 278, "again, into the same folder"
    exclude = ["--exclude", "audit/quarantine.csv"]
    assert (
        main.run(["split", str(folder), *exclude, "--output", "clean.csv", "--json", "--quiet"])
        == 0
    )
    counts = json.loads(capsys.readouterr().out)["counts"][0]
    assert sum(sum(classes.values()) for classes in counts.values()) == 280 - 7


def test_sound_data_give_no_finding(tmp_path):
    for colour, name in enumerate(("red", "green")):
        (tmp_path / "sound" / name).mkdir(parents=True)
        for k in range(20):
            data = encode(draw(100 * colour + k, colour))
            (tmp_path / "sound" / name / f"{k}.jpg").write_bytes(data)
    result = toolkit.audit(tmp_path / "sound", tmp_path / "audit", quiet=True)
    assert result.findings == [] and quarantined(result) == {}
    assert "Nothing was found." in result.page.read_text()


def test_bad_input_is_refused_in_a_line(folder, tmp_path, shared_folder):
    with pytest.raises(OptionError, match="--seed must be a whole number"):
        toolkit.audit(folder, tmp_path / "x", seed=-1, quiet=True)
    (tmp_path / "bad" / "a").mkdir(parents=True)
    (tmp_path / "bad" / "a" / "x.jpg").write_bytes(b"no image")
    with pytest.raises(NoImagesError):
        toolkit.audit(tmp_path / "bad", tmp_path / "x", quiet=True)
    (tmp_path / "file").touch()
    with pytest.raises(NotWritableError, match="--output must be a folder that can be written"):
        toolkit.audit(folder, tmp_path / "file", quiet=True)
    os.chmod(shared_folder, 0o555)
    with as_plain_user(), pytest.raises(NotWritableError):
        toolkit.audit(folder, shared_folder / "audit", quiet=True)


def test_tables_of_what_is_left_out_are_checked(folder, tmp_path, caplog):
    path = tmp_path / "out.csv"
    path.write_text("file\ntrain/red/00.jpg\n")
    with pytest.raises(ManifestError, match="lacks the column 'path' and has 'file'; rename one"):
        list_source(toolkit.Source(folder, exclude=path))
    with pytest.raises(OptionError, match=r"--exclude must be a table \(\.csv, \.parquet\)"):
        list_source(toolkit.Source(folder, exclude=tmp_path / "out.txt"))
    with pytest.raises(ManifestError, match="No such file"):
        list_source(toolkit.Source(folder, exclude=tmp_path / "none.csv"))
    path.write_text("path\ntrain/red/00.jpg\nelsewhere.jpg\n")
    assert len(list_source(toolkit.Source(folder, exclude=path)).files) == 279
    assert caplog.messages == [f"1 of the 2 images in {path} are not in the data."]


PHOTOS = os.environ.get("TOOLKIT_TEST_SIGN_DIGITS")


@pytest.mark.skipif(PHOTOS is None, reason="TOOLKIT_TEST_SIGN_DIGITS names no folder of photos")
@pytest.mark.parametrize("seed", range(3))
def test_faults_planted_among_real_photos_are_found(seed, tmp_path):
    from tests.checks.planting import plant

    planted = plant(Path(PHOTOS), tmp_path / "photos", seed)
    result = toolkit.audit(
        tmp_path / "photos", tmp_path / "audit", backbone="efficientnet-lite0", quiet=True
    )
    found = suspects(result)
    found["label"] = found["label"][:20]
    before = {"rotated": planted.turned_before}
    least = {"label": 7, "near-leak": 9}
    for kind, faults in planted.faults.items():
        named = [fault for fault in faults if fault & set(found[kind])]
        assert len(named) >= least.get(kind, 10), kind  # Ten of ten are the first 95 % or more.
        if kind not in least:
            others = set(found[kind]) - set().union(*faults) - before.get(kind, set())
            assert len(others) <= 0.01 * result.images, kind
