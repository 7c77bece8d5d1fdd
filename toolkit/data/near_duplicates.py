"""Near duplicates: images whose perceptual hashes differ in few bits."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

LIMIT = 40
"""Bits of 256 in which near duplicates differ at most.

Measured on 2,062 photos of hands on plain walls, of 100 x 100 pixels, with copies: of those saved
anew, scaled or brightened all are found, of those that lost 2 % of each side 95 %, of those that
lost 5 % a quarter. No two of the photos are taken for copies; from 44 on, some of different hands
are.
"""

COARSE_LIMIT = 8
"""Bits of the first 64, the coarse hash, in which they differ at most."""

BANDS, BAND_BITS = 4, 16
CHUNK = 1 << 18  # Pairs that are compared at a time: small enough for the processor's cache.
GATHERED = 1 << 20  # Pairs that are given at a time, about.

PairsWithDistances = tuple[np.ndarray, np.ndarray]


def near_pairs(
    hashes: np.ndarray, limit: int = LIMIT, coarse_limit: int = COARSE_LIMIT
) -> Iterator[PairsWithDistances]:
    """Finds all pairs of hashes that differ in few bits, without comparing all with all.

    Where two first words differ in at most 8 of 64 bits, at least one of their four parts of 16
    bits differs in at most two. So only those are compared of which some part is so near: Norouzi,
    Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing" (2012). It takes
    memory for the hashes and a few million pairs, however many there are. A million random hashes
    take seconds; images that are all alike take time for each pair.

    Args:
        hashes: uint64 [N, words], as of `hash_thumbnails`.
        limit: Bits in which the hashes of a pair differ at most.
        coarse_limit: Bits in which their first words differ at most. The time grows steeply with
            it.

    Yields:
        Pairs int64 [P, 2] of places in `hashes`, the lower one first, and in how many bits they
        differ, int64 [P]. Each pair comes once, in no order. Where hashes are equal, the first
        stands for all: only it is paired with others, and with each of those equal to it.
    """
    distinct, first, inverse = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    same = np.column_stack([first[inverse.reshape(-1)], np.arange(len(hashes))])
    same = same[same[:, 0] != same[:, 1]]
    found = _verified(distinct, first, limit, coarse_limit)
    yield from _gathered(itertools.chain([(same, np.zeros(len(same), np.int64))], found))


def near_groups(pairs: Iterable[PairsWithDistances], count: int) -> np.ndarray:
    """Puts images that are tied by pairs, directly or through others, into one group.

    Args:
        pairs: As `near_pairs` gives them.
        count: Images, N.

    Returns:
        The number of each image's group, int64 [N], from 0 in the order of the groups' first
        images. What is in no pair is a group of its own.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups = np.arange(count)
    for tied, _ in pairs:
        ends = tuple(groups[tied].T)
        ties = coo_array((np.ones(len(tied), bool), ends), shape=(count, count))
        groups = connected_components(ties, directed=False)[1][groups]
    return groups.astype(np.int64)


def _gathered(parts: Iterator[PairsWithDistances]) -> Iterator[PairsWithDistances]:
    """Joins small parts; there are no empty ones among what it gives."""
    held: list[PairsWithDistances] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part[1])
        if count >= GATHERED:
            yield _joined(held)
            held, count = [], 0
    if count:
        yield _joined(held)


def _joined(parts: list[PairsWithDistances]) -> PairsWithDistances:
    pairs, distances = zip(*parts, strict=True)
    return np.concatenate(pairs), np.concatenate(distances)


def _verified(
    distinct: np.ndarray, first: np.ndarray, limit: int, coarse_limit: int
) -> Iterator[PairsWithDistances]:
    for left, right in _coarse_pairs(np.ascontiguousarray(distinct[:, 0]), coarse_limit):
        differing = np.bitwise_count(distinct[left] ^ distinct[right])
        distances = differing.sum(axis=1, dtype=np.int64)
        near = distances <= limit
        if near.any():
            pairs = np.column_stack([first[left[near]], first[right[near]]])
            yield np.sort(pairs, axis=1), distances[near]


def _coarse_pairs(words: np.ndarray, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of words, uint64 [N], that differ in at most so many bits, each once."""
    bands = words.view(np.uint16).reshape(-1, BANDS)
    radii = _radii(limit)
    for band in range(BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        ordered, keys = words[order], bands[order, band].astype(np.int64)
        for begin, end in _partners(keys, radii[band]):
            for left, right in _spread(begin, end):
                near = np.flatnonzero(np.bitwise_count(ordered[left] ^ ordered[right]) <= limit)
                left_near, right_near = order[left[near]], order[right[near]]
                differing = np.bitwise_count(bands[left_near] ^ bands[right_near])
                new = ~(differing[:, :band] <= radii[:band]).any(axis=1)  # In no band before.
                yield left_near[new], right_near[new]


def _radii(limit: int) -> np.ndarray:
    """Bits that may differ in each band: in any pair within the limit, one of them keeps its own.

    Otherwise the differences would add up to `limit + 1` at least. -1: the band is not needed.
    """
    return np.full(BANDS, limit // BANDS) - (np.arange(BANDS) > limit % BANDS)


def _partners(keys: np.ndarray, radius: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each of the sorted keys, where those begin and end that differ from it in given bits.

    Over all that is given, each pair within the radius appears once.
    """
    starts = np.searchsorted(keys, np.arange((1 << BAND_BITS) + 1))
    for count in range(radius + 1):
        for bits in itertools.combinations(range(BAND_BITS), count):
            others = keys ^ sum(1 << bit for bit in bits)
            end = starts[others + 1]
            begin = starts[others] if bits else np.arange(1, len(keys) + 1)
            yield np.where(others < keys, end, begin), end


def _spread(begin: np.ndarray, end: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs each place i with all of begin[i] to end[i], about `CHUNK` pairs at a time."""
    counts = end - begin
    total = np.cumsum(counts)
    if not len(total):
        return
    cuts = np.searchsorted(total, np.arange(CHUNK, total[-1], CHUNK))
    for places in np.split(np.arange(len(counts)), cuts):
        repeats = counts[places]
        shift = begin[places] - (np.cumsum(repeats) - repeats)
        yield np.repeat(places, repeats), np.repeat(shift, repeats) + np.arange(repeats.sum())
