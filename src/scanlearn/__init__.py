"""Learn from your own scans: pre-train, fine-tune with a few labels, look at it.

``prepare``, ``pretrain``, ``finetune``, ``predict``, ``evaluate``, ``compare``,
``open_run``, ``open_cohort`` and ``sample`` are those of :mod:`scanlearn.notebook`,
imported when they are first asked for.
"""

from typing import TYPE_CHECKING, Any

from scanlearn.version import __version__

if TYPE_CHECKING:
    from scanlearn.notebook import (
        compare,
        evaluate,
        finetune,
        open_cohort,
        open_run,
        predict,
        prepare,
        pretrain,
        sample,
    )

__all__ = [
    "__version__",
    "compare",
    "evaluate",
    "finetune",
    "open_cohort",
    "open_run",
    "predict",
    "prepare",
    "pretrain",
    "sample",
]


def __getattr__(name: str) -> Any:
    if name not in __all__ or name.startswith("__"):
        raise AttributeError(f"module 'scanlearn' has no attribute '{name}'")
    from scanlearn import notebook

    return getattr(notebook, name)


def __dir__() -> list[str]:
    return list(__all__)
