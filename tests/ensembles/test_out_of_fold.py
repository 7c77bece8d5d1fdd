import numpy as np

from toolkit.ensembles.averaging import Averaging
from toolkit.ensembles.out_of_fold import average_available

RANDOM = np.random.default_rng(0)


def distributions(*shape):
    return RANDOM.dirichlet(np.ones(4), shape).astype(np.float32)


def test_each_image_is_judged_by_the_members_that_may():
    members = distributions(3, 5)
    members[0, [0, 1]] = members[1, [1, 2]] = members[2, [1, 3]] = np.nan
    weights = np.array([0.5, 0.3, 0.2])
    judged, averaged = average_available(members, Averaging("arithmetic", weights))
    assert judged.tolist() == [True, False, True, True, True], "nobody may judge the second"
    for place, row in enumerate(np.flatnonzero(judged)):
        may = ~np.isnan(members[:, row, 0])
        expected = weights[may] @ members[may, row] / weights[may].sum()
        np.testing.assert_allclose(averaged[place], expected, rtol=1e-6)


def test_where_all_may_judge_it_is_the_ensemble():
    members = distributions(2, 6)
    for average in ("arithmetic", "geometric", "majority"):
        averaging = Averaging(average, np.array([0.7, 0.3]), temperature=1.5)
        judged, averaged = average_available(members, averaging)
        assert judged.all()
        np.testing.assert_array_equal(averaged, averaging(members))


def test_a_member_without_weight_judges_nothing():
    members = distributions(2, 2)
    members[0, 0] = np.nan
    judged, averaged = average_available(members, Averaging("arithmetic", np.array([1.0, 0.0])))
    assert judged.tolist() == [False, True]
    np.testing.assert_allclose(averaged, members[0, 1:], rtol=1e-6)
