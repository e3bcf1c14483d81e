"""Queues: first in, first out, each landmark alone."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.pretraining.drasclr.queues import LandmarkQueues


def put(queues: LandmarkQueues, landmarks: list[int], first: int, batch: int) -> None:
    """Enqueue keys whose numbers and patients count up from ``first``."""
    numbers = torch.arange(first, first + len(landmarks) * batch)
    numbers = numbers.view(len(landmarks), batch)
    dim = queues.keys.shape[2]
    keys = numbers[..., None].expand(-1, -1, dim).float()
    queues.put(torch.tensor(landmarks), keys, numbers)


def test_a_put_leaves_the_other_landmarks_as_they_were() -> None:
    """T4: bit-identical."""
    queues = LandmarkQueues(5, 6, 3)
    put(queues, [0, 1, 2, 3, 4], 100, 4)
    before = {name: x.clone() for name, x in queues.state().items()}
    put(queues, [1, 3], 500, 4)
    for name, after in queues.state().items():
        others = [0, 2, 4]
        assert torch.equal(after[others], before[name][others])
        assert not torch.equal(after[1], before[name][1])


@settings(deadline=None)
@given(st.integers(1, 9), st.lists(st.integers(1, 14), min_size=1, max_size=8))
def test_the_newest_keys_are_kept_whatever_the_batches(length, batches) -> None:
    queues = LandmarkQueues(2, length, 2)
    oracle: deque[int] = deque(maxlen=length)
    first = 0
    for batch in batches:
        put(queues, [1], first, batch)
        oracle.extend(range(first, first + batch))
        first += batch
    held = queues.at(torch.tensor([1]))
    places = held.patients[0]
    assert sorted(places[places >= 0].tolist()) == sorted(oracle)
    assert torch.equal(held.keys[0, places >= 0, 1], places[places >= 0].float())
    assert int(queues.next[1]) == first % length
    assert queues.fill == pytest.approx(len(oracle) / length / 2)


def test_keys_wrap_around_in_the_order_they_came() -> None:
    """T4: first in, first out, around the end."""
    queues = LandmarkQueues(1, 5, 1)
    put(queues, [0], 0, 3)
    assert queues.patients[0].tolist() == [0, 1, 2, -1, -1]
    put(queues, [0], 3, 3)
    assert queues.patients[0].tolist() == [5, 1, 2, 3, 4]
    put(queues, [0], 6, 7)
    assert queues.patients[0, int(queues.next[0])] == 8  # the oldest goes next
    assert sorted(queues.patients[0].tolist()) == [8, 9, 10, 11, 12]


def test_several_processes_at_one_landmark_all_count() -> None:
    queues = LandmarkQueues(2, 4, 1)
    put(queues, [1, 1], 0, 2)
    assert queues.patients.tolist() == [[-1] * 4, [0, 1, 2, 3]]


def test_what_is_read_is_a_copy() -> None:
    queues = LandmarkQueues(2, 3, 2)
    put(queues, [0], 5, 3)
    held = queues.at(torch.tensor([0]))
    put(queues, [0], 50, 3)
    assert held.patients.tolist() == [[5, 6, 7]]
    assert held.keys[0, :, 0].tolist() == [5, 6, 7]


def test_a_length_of_nothing_keeps_nothing() -> None:
    queues = LandmarkQueues(3, 0, 4)
    put(queues, [0, 2], 0, 4)
    assert queues.at(torch.tensor([0])).keys.shape == (1, 0, 4)
    assert queues.fill == 1


def test_state_goes_through_a_file(tmp_path) -> None:
    queues = LandmarkQueues(3, 4, 2)
    put(queues, [2, 0], 0, 3)
    torch.save(queues.state(), tmp_path / "state.pt")
    other = LandmarkQueues(3, 4, 2)
    other.load(torch.load(tmp_path / "state.pt", weights_only=True))
    for name, x in queues.state().items():
        assert torch.equal(other.state()[name], x)
    put(queues, [2], 50, 3)
    put(other, [2], 50, 3)
    assert torch.equal(other.patients, queues.patients)


@pytest.mark.parametrize(
    ("precision", "off"), [("fp32", 0.0), ("fp16", 3e-4), ("int8", 0.5 / 127 + 1e-6)]
)
def test_stored_keys_are_off_by_no_more_than_their_precision(precision, off) -> None:
    torch.manual_seed(0)
    queues = LandmarkQueues(1, 64, 128, precision=precision)
    keys = torch.nn.functional.normalize(torch.randn(1, 64, 128), dim=-1)
    where = torch.tensor([0])
    queues.put(where, keys, torch.arange(64)[None])
    held = queues.at(where).keys
    assert held.dtype == torch.float32
    assert float((held - keys).abs().max()) <= off
    # What counts is the cosine: its error is far below the temperature of 0.2.
    wrong = held[0] @ keys[0].T - keys[0] @ keys[0].T
    assert float(wrong.std()) < 0.003


def test_keys_in_8_bits_take_a_quarter_of_the_release_s() -> None:
    """At sizes in the release's proportions: K keys of 128 numbers, 4 bytes each."""
    queues = LandmarkQueues(3, 4096, 128, precision="int8")
    release = 128 * 4096 * 3 * 4
    assert queues.keys.nbytes == release / 4
    assert queues.keys.nbytes + queues.patients.nbytes < 0.26 * release
