"""The titles in a command's help, under which its options stand.

A command that is a `cloup.Command` shows them; others show one list of options.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import cloup

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def all_of(*options: Decorator) -> Decorator:
    """Adds options to a command, in the order in which help shows them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _titled(title: str) -> Callable[..., Decorator]:
    return partial(cloup.option, group=cloup.OptionGroup(title))


images_option = _titled("Images")
network_option = _titled("Network")
classifier_option = _titled("Classifier")
head_option = _titled("Head")
stages_option = _titled("What is trained")
training_option = _titled("How it is trained")
ending_option = _titled("How long it is trained")
batches_option = _titled("What training sees")
teacher_option = _titled("A teacher")
members_option = _titled("Several models")
trust_option = _titled("How sure the model is")
speed_option = _titled("Speed")
