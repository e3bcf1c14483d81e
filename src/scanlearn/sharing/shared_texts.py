"""The texts of a shared run: settings, story, facts and a page that says what it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scanlearn.config.run import RunConfig, to_yaml
from scanlearn.runs.events import Crashed
from scanlearn.runs.folder import RunFolder
from scanlearn.version import __version__

#: Facts of ``run.json`` that are of the training, not of its machine.
_FACTS = ("device", "processes", "precision", "seed", "versions", "memory_bytes")

#: Parts of events that are sentences.
_FREE = ("text", "sentence", "error", "reason")

_ABOUT = """\
# A model of napari-scanlearn

Not for clinical use.

This folder is a run: settings (`config.yaml`), story (`events.jsonl`), facts of the
training (`training.json`), the model (`checkpoints/`) and, where there is one, its card
(`model_card.md`). It holds no scans, labels, previews or training states, and names no
patient, file, folder or machine. Cohorts are called `cohort-1` and so on, a run that it
began from `earlier-run`.

Made with napari-scanlearn {version}. {how}

```sh
pip install napari-scanlearn
{command}
```

Weights are `safetensors`: opening them runs no code.
"""

_PREDICT = (
    "Use it in the Predict dock of napari, after unpacking it into the folder of runs, "
    "or in a terminal:",
    "scanlearn predict {name} SCAN --out predictions",
)
_START = (
    "Start a fine-tuning from it in the Fine-tune dock of napari, after unpacking it "
    "into the folder of runs, or in a terminal:",
    "scanlearn finetune COHORT --task segmentation --labels LABELS --from {name}",
)


def settings_text(config: RunConfig) -> str:
    """Return the settings with relative names of cohorts and of the earlier run."""
    changes: dict[str, Any] = {
        "cohorts": tuple(Path(f"cohort-{n}") for n in range(1, len(config.cohorts) + 1))
    }
    if config.start_from is not None:
        changes["start_from"] = Path("earlier-run")
    return to_yaml(config.model_copy(update=changes))


def story_text(run: RunFolder, clean: Callable[[str], str]) -> str:
    """Return the story without tracebacks and pictures; ``clean`` frees its texts."""
    lines = []
    for event in run.events():
        if event.kind == "preview":
            continue
        if isinstance(event, Crashed):
            event = event.model_copy(update={"details": ""})
        texts = {
            name: clean(value)
            for name, value in event
            if isinstance(value, str)
            and name in ("text", "sentence", "error", "reason")
        }
        lines.append(event.model_copy(update=texts).model_dump_json())
    return "".join(f"{line}\n" for line in lines)


def facts_text(run: RunFolder) -> str:
    """Return what ``run.json`` says of the training: no host, process or path."""
    facts = run.process()
    kept = {name: facts[name] for name in _FACTS if name in facts}
    return json.dumps(kept, indent=2) + "\n"


def about_text(config: RunConfig, name: str) -> str:
    """Return the page that whoever unpacks the bundle reads first."""
    how, command = _PREDICT if config.kind == "finetune" else _START
    return _ABOUT.format(
        version=__version__, how=how, command=command.format(name=name)
    )


def words_of(document: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a document and where it stands, such as ``classes.0.name``.

    A compressed map (one word of thousands of letters) is passed over: in letters by
    chance every short word is found.
    """
    if isinstance(document, dict):
        for key, value in document.items():
            yield where, str(key)
            yield from words_of(value, f"{where}.{key}".lstrip("."))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from words_of(value, f"{where}.{number}".lstrip("."))
    elif isinstance(document, str) and (len(document) < 1000 or " " in document):
        yield where, document
