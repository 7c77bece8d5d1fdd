"""Groups: images that must stay on one side of a split, as those of one person or camera."""

import dataclasses
import re

import numpy as np

from toolkit.data.listing import Listing
from toolkit.data.table import ImageTable
from toolkit.errors import OptionError

GROUP = "group "
"""In front of groups' names, lest one of them be a digest."""


def group_by_path(listing: Listing, pattern: str) -> Listing:
    r"""Groups a listing's files by a part of their paths.

    Args:
        listing: A source's files.
        pattern: A regular expression that is found in each path; what its groups capture, or
            without such the whole match, names the file's group.

    Raises:
        OptionError: It is no regular expression, or is not found in some path.

    Example:
        >>> listing = Listing(Path("/data"), [ListedFile("cat/ann-01.jpg", "cat")], ["cat"])
        >>> group_by_path(listing, r"/(\w+)-\d+").files[0].group
        'ann'
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        rule = f"a column of the manifest, or a regular expression ({error})"
        raise OptionError("--group-by", rule, pattern) from error
    matches = [compiled.search(file.path) for file in listing.files]
    missed = [f.path for f, match in zip(listing.files, matches, strict=True) if match is None]
    if missed:
        rule = "a column of the manifest, or a regular expression that is found in each path; "
        rule += f"{len(missed):,} of {len(matches):,} have no match, as {missed[0]}"
        raise OptionError("--group-by", rule, pattern)
    files = [
        file._replace(group="|".join(part or "" for part in match.groups()) or match[0])
        for file, match in zip(listing.files, matches, strict=True)
        if match is not None
    ]
    return dataclasses.replace(listing, files=files)


def has_groups(table: ImageTable) -> bool:
    """Whether any image is in a group."""
    return table.groups is not None and any(table.groups)


def units(table: ImageTable) -> np.ndarray:
    """Names what must stay together: str [N], equal for images on one side.

    Identical files stay together, all images of a group, and whatever these two join. A unit has
    the first name of its groups, or its content's digest where there is none.
    """
    if table.groups is None or not has_groups(table):
        return table.digests
    keys = _keys(table)
    return _first_names(keys, _tied(keys, list(table.digests)))


def join_groups(table: ImageTable, sets: np.ndarray) -> ImageTable:
    """Makes one group of each set of images, and of whatever groups a set joins.

    Args:
        table: The images.
        sets: Which set each is in, int [N]; an image alone in its set stays as it is.
    """
    keys = _keys(table)
    tied = _tied(keys, [f"set {number}" for number in sets])
    names = _first_names(keys, tied)
    together = np.bincount(tied)[tied] > 1
    named = [name.removeprefix(GROUP) for name in names]
    before = np.full(len(table), "", object) if table.groups is None else table.groups
    return dataclasses.replace(table, groups=np.where(together, np.array(named, object), before))


def _keys(table: ImageTable) -> list[str]:
    """Each image's group, or its digest where it has none."""
    if table.groups is None:
        return list(table.digests)
    pairs = zip(table.groups, table.digests, strict=True)
    return [GROUP + group if group else digest for group, digest in pairs]


def _tied(names: list[str], others: list[str]) -> np.ndarray:
    """Numbers the components of images tied by either of two names: int [N]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Nodes are names; each image ties its own two.
    nodes, places = np.unique([*names, *others], return_inverse=True)
    ends = np.split(places, 2)
    ties = coo_array((np.ones(len(names), bool), ends), shape=(len(nodes), len(nodes)))
    return connected_components(ties, directed=False)[1][ends[0]]


def _first_names(keys: list[str], tied: np.ndarray) -> np.ndarray:
    """For each image the first name of its component, groups' before digests."""
    best: dict[int, str] = {}
    for number, name in zip(tied, keys, strict=True):
        best[number] = min(best.get(number, name), name, key=_groups_first)
    return np.array([best[number] for number in tied], object)


def _groups_first(name: str) -> tuple[bool, str]:
    return not name.startswith(GROUP), name
