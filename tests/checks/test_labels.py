import numpy as np

from tests.checks.facts import by_kind, changed, make_facts, paths
from toolkit.checks.labels import check_labels, predict_unseen


def clusters(count=120, classes=3, seed=0):
    """Features of classes that lie apart, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = random.normal(0, 1, (classes, 16))
    features = centres[labels] + random.normal(0, 0.3, (count, 16))
    return features.astype(np.float32), labels


def table_of(labels, **columns):
    return make_facts(len(labels), labels=labels, classes=["a", "b", "c"], **columns).table


def test_wrong_labels_come_first():
    features, labels = clusters()
    wrong = [3, 40, 77, 101]
    labels[wrong] = (labels[wrong] + 1) % 3
    found = by_kind(check_labels(table_of(labels), features, seed=0))["label"]
    assert set(paths(found)[:4]) == {f"{k}.jpg" for k in wrong} and len(found.suspects) <= 8
    assert found.suspects[0].why.startswith("looks like '")
    assert not any(each.leave_out for each in found.suspects)


def test_right_labels_are_not_doubted():
    features, labels = clusters()
    assert "label" not in by_kind(check_labels(table_of(labels), features, seed=0))


def test_what_is_unlike_all_others_is_named():
    features, labels = clusters()
    features[17] = -20 * features[17]
    found = by_kind(check_labels(table_of(labels), features, seed=0))["outlier"]
    assert paths(found)[0] == "17.jpg" and len(found.suspects) < 10


def test_each_image_is_judged_by_probes_that_saw_neither_it_nor_its_group():
    """Of pairs with one group and random labels, no probe can know better than chance."""
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(90, 64)), 2, axis=0).astype(np.float32)
    labels = np.repeat(random.integers(0, 3, 90), 2)
    groups = np.array([f"g{k // 2}" for k in range(180)], object)
    table = changed(make_facts(180, labels=labels, classes=["a", "b", "c"]), groups=groups).table
    apart = predict_unseen(table, features, 0)
    together = predict_unseen(
        changed(make_facts(180, labels=labels, classes=["a", "b", "c"])).table, features, 0
    )
    np.testing.assert_allclose(apart.sum(axis=1), 1, rtol=1e-5)
    assert (apart.argmax(axis=1) == labels).mean() < 0.5
    assert (together.argmax(axis=1) == labels).mean() > 0.7


def test_too_small_classes_are_not_judged():
    features, labels = clusters(9)
    labels[:] = 0
    labels[0] = 1
    assert predict_unseen(table_of(labels), features, 0) is None
    assert check_labels(table_of(labels), features, 0) == []
