from __future__ import annotations

from scanlearn.engine.devices import default_threads


def test_one_core_is_left_for_the_viewer_where_there_are_more_than_two():
    assert [default_threads(n) for n in (1, 2, 3, 8)] == [1, 2, 2, 7]
