import numpy as np
import pytest

from tests.conftest import quietly, write_images
from toolkit.data.batches import image_batches
from toolkit.data.prepare import Preparation
from toolkit.data.scan import scan
from toolkit.data.sources import list_source
from toolkit.data.statistics import measure_pixels
from toolkit.errors import NoImagesError

PREPARATION = Preparation(12, 16)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = write_images(tmp_path_factory.mktemp("statistics"), 40)
    (folder / "red" / "damaged.jpg").write_bytes(
        (folder / "red" / "red-000.jpg").read_bytes()[:200]
    )
    return scan(list_source(folder), 10**8, quietly)


@pytest.fixture(scope="module")
def pixels(table):
    """All readable images, float64 [N, H, W, 3]."""
    batches = [images for _, images in image_batches(table, PREPARATION, 7)]
    return np.concatenate(batches).astype(np.float64)


def test_statistics_are_numpys(table, pixels):
    statistics = measure_pixels(table, PREPARATION, quietly)

    flat = pixels.reshape(-1, 3)
    assert statistics.images == len(pixels) == 120
    np.testing.assert_allclose(statistics.mean, flat.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(statistics.covariance, np.cov(flat.T, bias=True), rtol=1e-10)
    np.testing.assert_allclose(statistics.mean_image, pixels.mean(axis=0), rtol=1e-6)
    for value in (statistics.mean, statistics.covariance, statistics.mean_image):
        assert value.dtype == np.float64
    record = statistics.record()
    np.testing.assert_allclose(record["deviation"], flat.std(axis=0), rtol=1e-10)
    assert record["images"] == 120 and len(record["mean"]) == len(record["standard_error"]) == 3


def test_the_sample_grows_until_it_is_as_precise_as_is_asked(table, pixels):
    spread = pixels.mean(axis=(1, 2)).std(axis=0, ddof=1).max()
    loose = measure_pixels(table, PREPARATION, quietly, precision=spread / 5, sample_step=10)
    tight = measure_pixels(table, PREPARATION, quietly, precision=spread / 8, sample_step=10)

    assert 10 <= loose.images < tight.images < 121
    assert loose.standard_error.max() <= spread / 5 and tight.standard_error.max() <= spread / 8
    far = np.abs(loose.mean - pixels.mean(axis=(0, 1, 2))) / loose.standard_error
    assert far.max() < 4
    whole = measure_pixels(table, PREPARATION, quietly, precision=0.0, sample_step=10)
    assert whole.images == 120
    np.testing.assert_array_equal(whole.standard_error.round(9) >= 0, True)


def test_where_none_can_be_decoded_that_is_said(table):
    damaged = table.rows(table.paths == "red/damaged.jpg")
    with pytest.raises(NoImagesError, match="No readable image"):
        measure_pixels(damaged, PREPARATION, quietly)


def test_the_same_images_give_the_same_statistics(table):
    first, second = (measure_pixels(table, PREPARATION, quietly) for _ in range(2))
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.covariance, second.covariance)
