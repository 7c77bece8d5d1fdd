"""Which members a soup is made of, and what `metrics.json` says of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray

from toolkit.choices import check_choice
from toolkit.ensembles.evidence import paired_gain
from toolkit.ensembles.report import headlines, recommend
from toolkit.evaluation.metrics import measure

GREEDY, UNIFORM = RECIPES = ("greedy", "uniform")
SOUP = "soup"


def check_recipe(recipe: str) -> None:
    """Refuses what is no recipe.

    Raises:
        OptionError: It is none.
    """
    check_choice("--recipe", recipe, RECIPES)


def best_first(figures: Sequence[dict[str, Any]]) -> list[int]:
    """The members by their accuracy, highest first, and where that is equal by their loss."""
    return sorted(range(len(figures)), key=lambda k: (-figures[k]["accuracy"], figures[k]["loss"]))


@dataclass(frozen=True)
class Tried:
    """A member that greedy soup has tried.

    Attributes:
        member: Its place among the members.
        accuracy: Of the soup with it, on validation; None: it was not asked for.
        taken: Whether it stays in the soup.
    """

    member: int
    accuracy: float | None
    taken: bool


def greedy_soup(
    order: Sequence[int], start: float, accuracy: Callable[[list[int]], float]
) -> list[Tried]:
    """Adds one member after another where the soup does not get worse by it.

    See Wortsman et al. 2022, "Model soups", recipe 1.

    Args:
        order: The members' places, the best first.
        start: The accuracy of the best alone.
        accuracy: Gives that of the soup of some members, on the same images.

    Returns:
        All members in that order.

    Example:
        >>> [each.member for each in greedy_soup([1, 0], 0.9, measured) if each.taken]
        [1, 0]
    """
    tried, taken, best = [Tried(order[0], start, taken=True)], [order[0]], start
    for member in order[1:]:
        found = accuracy([*taken, member])
        tried.append(Tried(member, found, taken=found >= best))
        if found >= best:
            taken, best = [*taken, member], found
    return tried


def soup_report(
    labels: NDArray[Any],
    soup: NDArray[Any],
    members: NDArray[Any],
    classes: Sequence[str],
    names: Sequence[str],
    best: int,
    seed: int = 0,
    reject_below: float = 0.0,
) -> dict[str, Any]:
    """Measures a soup and its members on test images.

    Args:
        labels: True classes, integers [N].
        soup: Its probabilities, [N, K].
        members: Those of the M members, [M, N, K].
        classes: The K classes' names.
        names: The M members' names.
        best: The place of the best member, chosen on other images.
        seed: Of the bootstrap.
        reject_below: The soup's; see `measure`.

    Returns:
        `test`: the soup's figures, as `measure` gives them. `members`: of each its name and figures
        on test. `gain`: over the best member, with 95 % intervals. `recommended`: that member's
        name or "soup", and `why`.
    """
    gain = paired_gain(labels, soup, members[best], seed=seed)
    return {
        "test": measure(labels, soup, classes, reject_below),
        "members": [
            {"name": name, "test": headlines(labels, member, classes)}
            for name, member in zip(names, members, strict=True)
        ],
        "gain": {"over": names[best], **asdict(gain)},
        **recommend(gain, names[best], len(labels), SOUP, "it is as large as one of them"),
    }
