"""The titles in a command's help, under which its options stand.

A command that is a `cloup.Command` shows them; others show one list of options.
"""

from functools import partial

import cloup

images_option = partial(cloup.option, group=cloup.OptionGroup("Images"))
network_option = partial(cloup.option, group=cloup.OptionGroup("Network"))
classifier_option = partial(cloup.option, group=cloup.OptionGroup("Classifier"))
head_option = partial(cloup.option, group=cloup.OptionGroup("Head"))
stages_option = partial(cloup.option, group=cloup.OptionGroup("What is trained"))
training_option = partial(cloup.option, group=cloup.OptionGroup("How it is trained"))
ending_option = partial(cloup.option, group=cloup.OptionGroup("How long it is trained"))
batches_option = partial(cloup.option, group=cloup.OptionGroup("What training sees"))
teacher_option = partial(cloup.option, group=cloup.OptionGroup("A teacher"))
members_option = partial(cloup.option, group=cloup.OptionGroup("Several models"))
trust_option = partial(cloup.option, group=cloup.OptionGroup("How sure the model is"))
speed_option = partial(cloup.option, group=cloup.OptionGroup("Speed"))
