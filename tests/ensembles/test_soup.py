import json

import numpy as np
import pytest

from tests.ensembles.predictions import make_predictions
from toolkit.ensembles.soup import best_first, check_recipe, greedy_soup, soup_report
from toolkit.errors import OptionError

CLASSES, NAMES = ["cat", "dog", "eel"], ["a/1", "b/1", "c/1"]


def test_the_most_accurate_comes_first_and_of_equals_the_surest():
    figures = [(0.8, 0.1), (0.9, 0.5), (0.9, 0.4), (0.7, 0.0)]
    assert best_first([{"accuracy": a, "loss": b} for a, b in figures]) == [2, 1, 0, 3]


def test_greedy_soup_takes_what_does_not_lower_its_accuracy():
    accuracies = {(2, 0): 0.8, (2, 1): 0.9, (2, 1, 3): 0.89, (2, 1, 4): 0.95}
    asked = []

    def accuracy(taken):
        asked.append(tuple(taken))
        return accuracies[tuple(taken)]

    tried = greedy_soup([2, 0, 1, 3, 4], 0.9, accuracy)
    assert asked == list(accuracies)
    assert [each.member for each in tried] == [2, 0, 1, 3, 4]
    assert [each.member for each in tried if each.taken] == [2, 1, 4]
    assert [each.accuracy for each in tried] == [0.9, 0.8, 0.9, 0.89, 0.95]


def test_recipes_that_there_are_not_are_refused():
    with pytest.raises(OptionError, match=r"^--recipe must be one of greedy, uniform"):
        check_recipe("tomato")


def test_a_soup_is_compared_with_the_member_that_was_chosen_before():
    labels, members = make_predictions(400)
    soup = members.mean(axis=0)
    found = soup_report(labels, soup, members, CLASSES, NAMES, best=2)
    assert json.loads(json.dumps(found, allow_nan=False))
    assert found["gain"]["over"] == "c/1"
    assert found["gain"]["loss"] == pytest.approx(
        found["members"][2]["test"]["loss"] - found["test"]["loss"]
    )
    assert found["recommended"] == "soup"
    assert found["why"].startswith("the soup saves 0.")
    assert found["why"].endswith("it is as large as one of them")
    same = soup_report(labels, members[1], members, CLASSES, NAMES, best=1)
    assert same["recommended"] == "b/1"
    assert "b/1 alone is as good as the soup" in same["why"]
    assert np.isclose(same["gain"]["loss"], 0)
