"""Which samples stand for a cluster in the picture."""

from __future__ import annotations

import torch

from scanlearn.nets.clustering import UNASSIGNED
from scanlearn.pretraining.joint.cluster_previews import examples


def test_examples_are_of_the_largest_clusters_and_of_many_scans() -> None:
    assigned = torch.tensor([0] * 20 + [1] * 3 + [UNASSIGNED] * 5 + [2] * 12)
    scans = [f"scan {n // 10}" for n in range(40)]
    rows = examples(assigned, scans, seed=0)
    assert [int(assigned[row[0]]) for row in rows] == [0, 2, 1]
    assert [len(row) for row in rows] == [8, 8, 3]
    for row in rows:
        assert len({int(assigned[n]) for n in row}) == 1
        assert len(set(row)) == len(row)
    # Twenty samples of two scans: four of each.
    of = [scans[n] for n in rows[0]]
    assert sorted(of) == ["scan 0"] * 4 + ["scan 1"] * 4
    assert rows == examples(assigned, scans, seed=0)
    assert rows != examples(assigned, scans, seed=1)
    assert examples(torch.full((4,), UNASSIGNED), scans, seed=0) == []
