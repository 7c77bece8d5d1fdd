import numpy as np
import pytest

from toolkit.classifier.full_batches import in_full_batches


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 10])
def test_every_batch_is_full_and_only_the_rows_that_came_are_given(count):
    seen = []

    def run(images):
        seen.append(images)
        return images.sum((1, 2)) + 1

    images = np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3)
    values = in_full_batches(run, 4)(images)

    np.testing.assert_array_equal(values, images.sum((1, 2)) + 1)
    assert [batch.shape for batch in seen] == [(4, 2, 3)] * max(1, -(-count // 4))
    np.testing.assert_array_equal(np.concatenate(seen)[count:], 0)
    assert seen[0].dtype == np.float32


def test_a_full_batch_is_not_copied():
    images = np.zeros([4, 2], np.float32)
    assert in_full_batches(lambda batch: batch, 4)(images) is images


def test_several_inputs_are_cut_alike():
    images = [np.arange(5 * width, dtype=np.float32).reshape(5, width) for width in (2, 3)]
    values = in_full_batches(lambda a, b: a.sum(axis=1) - b.sum(axis=1), 4)(*images)
    np.testing.assert_array_equal(values, images[0].sum(axis=1) - images[1].sum(axis=1))
