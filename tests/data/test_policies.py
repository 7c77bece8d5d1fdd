import json

import albumentations
import numpy as np
import pytest

from toolkit.data.policies import POLICIES, check_draws, choose_policy, make_transform
from toolkit.errors import OptionError


def own(*steps, **more):
    return albumentations.Compose(list(steps) or [albumentations.HorizontalFlip(p=1.0)], **more)


@pytest.fixture
def write(tmp_path):
    def write(content: object, name: str = "own.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.mark.parametrize(
    ("name", "flips", "policy"),
    [
        ("auto", True, "light"),
        ("auto", False, "light-no-flip"),
        *((name, flips, name) for name in POLICIES for flips in (True, False)),
    ],
)
def test_policies_are_chosen(name, flips, policy):
    assert choose_policy(name, flips) == policy


@pytest.mark.parametrize("name", ["", "Light", "heavy", "none-no-flip", "own.txt"])
def test_an_unknown_policy_is_refused_with_those_there_are(name):
    with pytest.raises(OptionError, match="--augment must be one of auto, none, light, light-no-"):
        choose_policy(name, True)


def test_stronger_policies_change_more():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (300, 8, 8, 3), np.uint8).repeat(4, 1).repeat(4, 2)

    def change(policy):
        transform = make_transform(policy)
        transform.set_random_seed(0)
        drawn = [transform(image=image)["image"] for image in images]
        return np.abs(np.array(drawn, float) - images).mean()

    light, standard, strong = map(change, ("light-no-flip", "standard-no-flip", "strong-no-flip"))
    assert light < standard < strong
    assert change("randaugment-no-flip") < change("trivial-no-flip") < strong


@pytest.mark.parametrize("policy", ["trivial-no-flip", "randaugment-no-flip"])
def test_one_of_trivial_augments_things_is_done_or_two_of_rand_augments(policy):
    (choice,) = make_transform(policy).transforms
    assert len(choice.transforms) == 14
    assert all(step.p == 1.0 for step in choice.transforms)
    assert getattr(choice, "n", 1) == (2 if policy.startswith("rand") else 1)


@pytest.mark.parametrize(("name", "kind"), [("own.json", "json"), ("own.yaml", "yaml")])
def test_a_file_that_albumentations_wrote_is_the_pipeline_itself(tmp_path, name, kind):
    pipeline = own(albumentations.HorizontalFlip(p=1.0), albumentations.InvertImg(p=1.0))
    albumentations.save(pipeline, tmp_path / name, data_format=kind)

    policy = choose_policy(str(tmp_path / name), True)

    assert policy == choose_policy(pipeline, True) == choose_policy(tmp_path / name, False)
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    drawn = make_transform(policy)(image=image)["image"]
    np.testing.assert_array_equal(drawn, 255 - image[:, ::-1])
    check_draws(policy, 9, 7)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "a JSON or YAML file that can be read"),
        ([], "a pipeline as albumentations.save writes it"),
        (
            {"transform": {"__class_fullname__": "HorizontalFlop", "p": 1}},
            "'HorizontalFlop', but",
        ),
        ({"pipeline": {}}, "there is no 'transform'"),
        (
            {"transform": {"__class_fullname__": "os.system", "p": 1, "command": "true"}},
            "there is no 'os.system'",
        ),
        (
            {"transform": {"__class_fullname__": "Lambda", "__name__": "mine"}},
            "as albumentations.save writes it .*non-serializable",
        ),
        (
            {"transform": {"__class_fullname__": "GaussianBlur", "sigma_limit": "much", "p": 1}},
            "as albumentations.save writes it",
        ),
    ],
)
def test_a_file_that_is_none_is_refused(write, content, problem):
    path = write(content)
    with pytest.raises(OptionError, match=problem) as error:
        choose_policy(path, True)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_or_broken_file_is_refused(write, tmp_path):
    with pytest.raises(OptionError, match=r"that can be read .*No such file"):
        choose_policy(tmp_path / "none.yaml", True)
    with pytest.raises(OptionError, match=r"a JSON or YAML file that can be read"):
        choose_policy(write("{a: [", "own.yml"), True)


def test_a_pipeline_for_boxes_is_refused(write):
    boxes = own(bbox_params=albumentations.BboxParams(format="coco", label_fields=["labels"]))
    with pytest.raises(OptionError, match=r"for images alone; this one is for boxes or keypoints"):
        choose_policy(write(albumentations.to_dict(boxes)), True)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            albumentations.RandomCrop(8, 8, p=1.0),
            r"16 x 16 x 3; it made one uint8, \(8, 8, 3\)",
        ),
        (albumentations.ToFloat(p=1.0), "it made one float32"),
        (albumentations.MaskDropout(p=1.0), "works on images alone"),
        (albumentations.RandomSizedBBoxSafeCrop(16, 16, p=1.0), "works on images alone"),
        (albumentations.RandomCrop(32, 32, p=1.0), "works on images alone"),
    ],
)
def test_what_changes_the_size_or_needs_more_than_images_is_refused(step, problem):
    policy = choose_policy(own(step), True)
    with pytest.raises(OptionError, match=problem) as error:
        check_draws(policy, 16, 16)
    assert len(str(error.value)) < 500
    check_draws("strong", 16, 16)
