from __future__ import annotations

import numpy as np
import pytest
from support.dictionaries import STRANGERS, agreement, columns, learned


def test_environments_turn_with_the_crystal():
    turned = [columns(30, 5), columns(30, 6, angle=17.0), columns(30, 7, angle=-31.0)]
    limits = np.cumsum([0, *(len(own.moments) for own in turned)])
    found = learned(30).assign(np.concatenate([own.moments for own in turned]), limits)
    truth = np.concatenate([own.environments for own in turned])
    known = found.environments >= 0
    assert known.mean() > 0.97
    assert agreement(truth[known], found.environments[known]) > 0.97


def test_a_strange_neighbour_makes_a_strange_environment_of_a_known_column():
    own = columns(30, 7, (512, 512), dopants=STRANGERS)
    found = learned(30).assign(own.moments)
    strangers = own.points[np.isin(own.names, ["Fe", "TeSe"])]
    distance = np.hypot(*(own.points[:, None] - strangers).T).min(axis=0)
    beside = (distance > 1) & (distance < 15)
    assert (found.labels[beside] >= 0).mean() > 0.95
    assert (found.environments[beside] == -1).mean() > 0.9
    assert (found.environments[distance > 30] >= 0).mean() > 0.97


def test_the_former_name_of_the_environments_works_and_is_deprecated():
    with pytest.warns(DeprecationWarning, match="surroundings is now called environments"):
        former = learned().surroundings
    assert former is learned().environments
