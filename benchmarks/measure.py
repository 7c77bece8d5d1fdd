"""Measuring: contestants take turns, so that a slow minute of the machine strikes them all."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import keras

Measured = TypeVar("Measured")
Clock = Callable[[], float]


def alternate(
    repetitions: int,
    contestants: Mapping[str, Callable[[], Measured]],
    *,
    warm_up: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, list[Measured]]:
    """Measures all contestants in each round, every other round in the reverse order.

    Args:
        repetitions: Rounds.
        contestants: Each measures itself when it is called; see `seconds_of` and `rate_of`.
        warm_up: Rounds before, which do not count.
        say: Shows a line of progress.

    Returns:
        What each contestant measured, in the rounds' order.

    Example:
        >>> alternate(3, {"a": seconds_of(one_way), "b": seconds_of(another_way)})
        {'a': [1.0, 1.2, 1.1], 'b': [2.1, 2.0, 2.2]}
    """
    names = list(contestants)
    measured: dict[str, list[Measured]] = {name: [] for name in names}
    for number in range(-warm_up, repetitions):
        label = "warm-up" if number < 0 else f"round {number + 1} of {repetitions}"
        for name in names if number % 2 == 0 else reversed(names):
            value = contestants[name]()
            if number >= 0:
                measured[name].append(value)
            say(f"{label}, {name}" + (f": {value:.4g}" if isinstance(value, float) else ""))
    return measured


def seconds_of(
    function: Callable[[], object], clock: Clock = time.perf_counter
) -> Callable[[], float]:
    """A contestant that measures how long a function takes."""

    def measure() -> float:
        start = clock()
        function()
        return clock() - start

    return measure


def rate_of(
    function: Callable[[], object], count: int, clock: Clock = time.perf_counter
) -> Callable[[], float]:
    """A contestant that measures how many of `count` things a function does in a second."""
    seconds = seconds_of(function, clock)
    return lambda: count / seconds()


def rate_to_last_batch(
    loop: Callable[..., object], count: int, clock: Clock = time.perf_counter
) -> Callable[[], float]:
    """A contestant that measures how many of `count` images a loop of Keras does in a second.

    The clock stops when the last batch is done: after it, closing Keras' data set may wait for
    tf.data's tuning, by chance for as long as the whole loop took.

    Args:
        loop: `fit` or `predict` of a model; takes the keyword argument `callbacks`.
        count: Images.
        clock: Seconds.
    """

    def measure() -> float:
        moments = [clock()]

        def note(*_: object, **__: object) -> None:
            moments.append(clock())

        noting = keras.callbacks.LambdaCallback(on_train_batch_end=note, on_predict_batch_end=note)
        loop(callbacks=[noting])
        return count / (moments[-1] - moments[0])

    return measure
