"""The thread limit is shared by its users and restored by the last."""

from __future__ import annotations

from threadpoolctl import threadpool_info, threadpool_limits

from scanlearn.scans.blas import one_blas_thread


def blas_threads():
    return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}


def test_overlapping_users_restore_the_first_setting():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        first, second = one_blas_thread(), one_blas_thread()
        with first:
            second.__enter__()
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before
