import itertools

import numpy as np
import pytest

from toolkit.data import near_duplicates
from toolkit.data.near_duplicates import near_groups, near_pairs


def draw_hashes(seed: int, words: int = 4, families: int = 12, members: int = 12) -> np.ndarray:
    """Families of hashes at all small distances, some of them equal, in a random order."""
    rng = np.random.default_rng(seed)
    hashes = np.repeat(rng.integers(0, 2**64, (families, words), np.uint64), members, axis=0)
    for flips in np.split(rng.permutation(len(hashes)), 6)[1:]:
        for _ in range(rng.integers(1, 7)):
            shifts = rng.integers(0, 64, (len(flips), words), np.uint64)
            hashes[flips] ^= np.uint64(1) << shifts
    return rng.permutation(hashes)


def brute_force(hashes: np.ndarray, limit: int, coarse_limit: int) -> dict[tuple[int, int], int]:
    """All pairs of the first images of each hash, and of each further one with its first."""
    found = {}
    first = [int(np.flatnonzero((hashes == each).all(axis=1))[0]) for each in hashes]
    for i, j in itertools.combinations(range(len(hashes)), 2):
        bits = np.bitwise_count(hashes[i] ^ hashes[j]).tolist()
        are_first = first[i] == i and first[j] == j
        if (are_first or first[j] == i) and bits[0] <= coarse_limit and sum(bits) <= limit:
            found[i, j] = sum(bits)
    return found


def together(hashes: np.ndarray, *limits: int) -> dict[tuple[int, int], int]:
    """What the search gives, each pair once."""
    found = {}
    for pairs, distances in near_pairs(hashes, *limits):
        assert pairs.dtype == distances.dtype == np.int64
        assert pairs.shape == (len(distances), 2) and len(distances)
        for pair, distance in zip(pairs.tolist(), distances.tolist(), strict=True):
            assert tuple(pair) not in found
            found[tuple(pair)] = distance
    return found


@pytest.mark.parametrize("coarse_limit", [0, 1, 2, 3, 4, 5, 7, 8])
def test_the_search_finds_what_comparing_all_with_all_finds(coarse_limit, monkeypatch):
    monkeypatch.setattr(near_duplicates, "CHUNK", 7)
    monkeypatch.setattr(near_duplicates, "GATHERED", 10)
    hashes = draw_hashes(coarse_limit)
    for limit in (0, 9, 40):
        expected = brute_force(hashes, limit, coarse_limit)
        assert together(hashes, limit, coarse_limit) == expected
    assert expected and len(expected) < len(brute_force(hashes, 256, 64))


def test_hashes_may_have_any_number_of_words():
    for words in (1, 2):
        hashes = draw_hashes(3, words)
        assert together(hashes, 7, 7) == brute_force(hashes, 7, 7)


def test_differences_wherever_they_lie_are_found():
    rng = np.random.default_rng(0)
    bits = np.array([rng.permutation(64)[:8] for _ in range(500)], np.uint64)
    differences = np.bitwise_or.reduce(np.uint64(1) << bits, axis=1)
    hashes = np.append(np.uint64(0), differences)[:, None] ^ np.uint64(0x0123456789ABCDEF)
    expected = {(0, k): 8 for k in range(1, len(hashes))}

    assert {pair: bits for pair, bits in together(hashes, 8, 8).items() if pair[0] == 0} == expected
    assert not any(pair[0] == 0 for pair in together(hashes, 8, 7))


@pytest.mark.parametrize("count", [0, 1])
def test_few_hashes_are_no_pair(count):
    assert list(near_pairs(np.zeros([count, 4], np.uint64))) == []


def test_equal_hashes_by_the_thousand_give_a_star():
    hashes = np.zeros([20_000, 4], np.uint64)
    hashes[1::2, 2] = 1
    pairs = together(hashes)

    assert len(pairs) == len(hashes) - 1
    assert pairs.pop((0, 1)) == 1
    assert set(pairs.values()) == {0}
    assert all(i == j % 2 for i, j in pairs)
    assert not near_groups(near_pairs(hashes), len(hashes)).any()


def test_many_pairs_come_in_parts_of_bounded_size(monkeypatch):
    monkeypatch.setattr(near_duplicates, "CHUNK", 1_000)
    monkeypatch.setattr(near_duplicates, "GATHERED", 5_000)
    shifts = np.random.default_rng(0).integers(0, 64, (600, 4), np.uint64)
    sizes = [len(distances) for _, distances in near_pairs(np.uint64(1) << shifts)]
    assert sum(sizes) > 150_000
    assert max(sizes) <= 5_000 + 1_000 + 600


def test_groups_are_connected_and_numbered_by_their_first_images():
    parts = [np.array([[1, 4], [2, 3]]), np.array([[4, 6], [3, 7]]), np.array([[5, 7]])]
    pairs = [(part, np.ones(len(part), np.int64)) for part in parts]
    assert near_groups(pairs, 9).tolist() == [0, 1, 2, 2, 1, 2, 1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_groups_do_not_depend_on_how_the_pairs_come(seed):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 60, (40, 2))
    whole = near_groups([(pairs, np.zeros(40))], 60)
    shuffled = rng.permuted(rng.permutation(pairs), axis=1)
    parts = [(part, np.zeros(len(part))) for part in np.array_split(shuffled, 9)]

    assert whole.dtype == np.int64
    np.testing.assert_array_equal(near_groups(parts, 60), whole)
    firsts = np.unique(whole, return_index=True)[1]
    assert (np.diff(firsts) > 0).all() and (whole[pairs[:, 0]] == whole[pairs[:, 1]]).all()


def test_a_chain_is_one_group_although_its_ends_are_not_near():
    frames = np.zeros([100, 4], np.uint64)
    for k in range(1, 100):
        frames[k] = frames[k - 1] ^ (np.uint64(1) << np.uint64(k % 64))
    distances = np.bitwise_count(frames ^ frames[0]).sum(axis=1)
    assert distances.max() > near_duplicates.LIMIT
    assert not near_groups(near_pairs(frames), 100).any()


def test_without_pairs_each_image_is_a_group():
    assert near_groups([], 4).tolist() == [0, 1, 2, 3]
    assert near_groups([], 0).tolist() == []
