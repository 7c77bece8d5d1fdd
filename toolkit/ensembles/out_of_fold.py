"""What an ensemble says of images of which each member may judge only some."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from toolkit.ensembles.averaging import Averaging
from toolkit.ensembles.members import Members


def average_available(
    members: Members, averaging: Averaging
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Averages, for each image, the members that may judge it: those not trained on it.

    With folds these are the out-of-fold predictions: of each image, what the members say that
    validated on it. As fewer members are averaged than in the whole ensemble, which moreover has
    seen more images, the figures are rather too low than too high.

    Args:
        members: Probabilities of M members, [M, N, K]; not-a-number where a member may not judge.
        averaging: How they are averaged; weights are scaled to those that may judge.

    Returns:
        Which images some member with a weight may judge, bool [N], and probabilities [n, K] of
        these n.

    Example:
        >>> folds = np.array([[[0.2, 0.8], [np.nan, np.nan]], [[np.nan, np.nan], [0.6, 0.4]]])
        >>> _, probabilities = average_available(folds, Averaging("arithmetic", np.full(2, 0.5)))
        >>> probabilities
        array([[0.2, 0.8],
               [0.6, 0.4]])
    """
    members = np.asarray(members)
    available = ~np.isnan(members).any(axis=2) & (averaging.weights > 0)[:, None]
    judged = available.any(axis=0)
    averaged = np.zeros(members.shape[1:], np.float64)
    for pattern in np.unique(available[:, judged], axis=1).T:
        rows = (available == pattern[:, None]).all(axis=0)
        weights = averaging.weights[pattern]
        own = replace(averaging, weights=weights / weights.sum())
        averaged[rows] = own(members[pattern][:, rows])
    return judged, averaged[judged]
