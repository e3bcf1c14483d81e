from __future__ import annotations

import pickle

import torch

from scanlearn.errors import BadScan
from scanlearn.randomness import numpy_generator, stream_seed, torch_generator


def test_an_error_says_all_three_parts_as_sentences():
    error = BadScan("scan.nii is empty", expected="voxels", next_step="Export it again")
    assert str(error) == "scan.nii is empty. Expected voxels. Export it again."


def test_an_error_survives_a_process_border():
    error = BadScan("found", expected="expected", next_step="next")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is BadScan
    assert str(again) == str(error)
    assert again.next_step == "next"


def test_streams_repeat_and_differ():
    draws = [numpy_generator(3, "views", 7).random(4).tolist() for _ in range(2)]
    assert draws[0] == draws[1]
    seeds = {stream_seed(s, n, i) for s in range(3) for n in ("a", "b") for i in (0, 1)}
    assert len(seeds) == 12
    # The parts of a stream do not run together.
    assert stream_seed(0, "a", "b") != stream_seed(0, "ab")


def test_torch_streams_repeat():
    one = torch.rand(3, generator=torch_generator(1, "x"))
    assert torch.equal(one, torch.rand(3, generator=torch_generator(1, "x")))
