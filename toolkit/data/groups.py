"""Groups: images that must stay on one side of a split, as those of one person or camera."""

import dataclasses
import re

import numpy as np

from toolkit.data.listing import Listing
from toolkit.data.table import ImageTable
from toolkit.errors import OptionError


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
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    named = [f"group {group}" if group else "" for group in table.groups]
    keys = [name or digest for name, digest in zip(named, table.digests, strict=True)]
    # Nodes are groups and digests; each image ties its own two.
    names, places = np.unique([*keys, *table.digests], return_inverse=True)
    ones = np.ones(len(table), bool)
    ties = coo_array((ones, np.split(places, 2)), shape=(len(names), len(names)))
    component = connected_components(ties, directed=False)[1]
    best: dict[int, str] = {}
    for number, name in zip(component[places[: len(table)]], keys, strict=True):
        best[number] = min(best.get(number, name), name, key=_groups_first)
    return np.array([best[number] for number in component[places[: len(table)]]], object)


def _groups_first(name: str) -> tuple[bool, str]:
    return not name.startswith("group "), name
