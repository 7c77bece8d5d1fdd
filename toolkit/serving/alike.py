"""Whether saved classifiers are so alike that their weights may be averaged."""

from collections.abc import Sequence

from toolkit.classifier.architecture import architecture_difference
from toolkit.data.prepare import Preparation
from toolkit.ensembles.report import ENSEMBLE
from toolkit.errors import MemberError
from toolkit.serving.members import Member, shared_preparations

MEND = "Leave one of them out, or give them to `toolkit ensemble`"


def check_alike(members: Sequence[Member]) -> Preparation:
    """Refuses members that differ in more than their weights.

    Returns:
        What is done to images for all of them.

    Raises:
        MemberError: One is an ensemble, prepares images otherwise than the first does, or has
            another architecture; it says what differs.
    """
    for member in members:
        if member.classifier.metrics.get("chosen") == ENSEMBLE:
            raise MemberError("single networks", f"{member.name}, an ensemble", "Leave it out")
    prepared = [each for each, *_ in shared_preparations(members)]
    first = members[0]
    for preparation, member in zip(prepared, members, strict=True):
        if preparation != prepared[0]:
            described = [_described(each) for each in (prepared[0], preparation)]
            received = f"{first.name} takes {described[0]}, {member.name} {described[1]}"
            raise MemberError("models that prepare images alike", received, MEND)
        difference = architecture_difference(first.classifier.model, member.classifier.model)
        if difference:
            received = f"{member.name} {difference}, as {first.name} has"
            raise MemberError("models of one architecture", received, MEND)
    return prepared[0]


def _described(preparation: Preparation) -> str:
    return f"{preparation.width} x {preparation.height} pixels (--crop {preparation.crop})"
