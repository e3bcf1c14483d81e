"""How a run was trained: network, schedule, passes, seed, hardware, hours."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.flat import flat_settings
from scanlearn.config.run import RunConfig
from scanlearn.model_card.markup import section, table
from scanlearn.runs.events import Event, Saved, Started
from scanlearn.runs.folder import RunFolder
from scanlearn.runs.work_time import WorkTime

_UNKNOWN = "not noted"


@dataclass(frozen=True)
class TrainingFacts:
    """What is known of the training; texts are empty where nothing was noted."""

    state: str
    architecture: str
    parameters: int | None
    step: int
    steps: int
    passes: float | None
    hours: float | None
    dates: str
    hardware: str
    memory_bytes: int
    predicts: str
    optimiser: str
    seed: int
    versions: Mapping[str, str]
    settings: tuple[tuple[str, str], ...]

    @property
    def time(self) -> str:
        """How long workers were on it."""
        return "" if self.hours is None else _duration(self.hours)

    def markdown(self) -> str:
        """Return the section of the card."""
        count = f"{self.parameters:,}" if self.parameters is not None else _UNKNOWN
        passes = "not counted" if self.passes is None else f"{self.passes:.3g}"
        versions = ", ".join(f"{name} {v}" for name, v in self.versions.items())
        memory = f"{self.memory_bytes / 2**30:.2g} GB" if self.memory_bytes else ""
        rows = (
            ("network", self.architecture or _UNKNOWN),
            ("parameters", count),
            ("predicts", self.predicts or "nothing by itself"),
            ("optimiser", self.optimiser or "none: fitted at once"),
            ("steps", f"{self.step:,} of {self.steps:,} ({self.state})"),
            ("passes over the data", passes),
            ("seed", str(self.seed)),
            ("hardware", self.hardware or _UNKNOWN),
            ("memory in use", memory or _UNKNOWN),
            ("time", self.time or _UNKNOWN),
            ("date", self.dates or _UNKNOWN),
            ("software", versions or _UNKNOWN),
        )
        return section("Network and training", table(("", ""), rows))

    def appendix(self) -> str:
        """Return all settings, as the last section but one."""
        return section("All settings", table(("setting", "value"), self.settings))


def training_facts(run: RunFolder, config: RunConfig) -> TrainingFacts:
    """Read how a run was trained."""
    events, process = run.events(), run.process()
    card = _card(run.checkpoints)
    begun = [event for event in events if isinstance(event, Started)]
    times = [event.time for event in events]
    return TrainingFacts(
        state=run.state(),
        architecture=str(card.get("architecture", "")),
        parameters=_parameters(run.checkpoints),
        step=max((getattr(event, "step", 0) for event in events), default=0),
        steps=begun[-1].steps if begun else config.engine.steps,
        passes=begun[-1].passes if begun else None,
        hours=_hours(events) if begun else None,
        dates=" to ".join(dict.fromkeys(_day(t) for t in times[:1] + times[-1:])),
        hardware=_hardware(process),
        memory_bytes=int(process.get("memory_bytes", 0)),
        predicts=_predicts(card),
        optimiser="" if fitted_at_once(events) else _optimiser(config),
        seed=config.engine.seed,
        versions=process.get("versions", {}),
        settings=tuple(_settings(config)),
    )


def fitted_at_once(events: Sequence[Event]) -> bool:
    """Whether a run fitted a model to frozen features, and trained no network."""
    saved = {event.name for event in events if isinstance(event, Saved)}
    return saved == {"model"}


def _card(checkpoints: Path) -> dict[str, Any]:
    """Return what a trained network says of itself; nothing before its first save."""
    for name in ("model.json", "encoder.json"):
        try:
            return dict(json.loads((checkpoints / name).read_text("utf-8")))
        except (OSError, ValueError):
            continue
    return {}


def _predicts(card: Mapping[str, Any]) -> str:
    """Return the classes, findings or outcome that a model knows."""
    classes = card.get("classes") or [card.get("finding") or card.get("target") or ""]
    names = [one["name"] if isinstance(one, Mapping) else str(one) for one in classes]
    return ", ".join(names)


def _parameters(checkpoints: Path) -> int | None:
    """Count the numbers in the weights without reading them."""
    from safetensors import SafetensorError, safe_open

    for name in ("model.safetensors", "encoder.safetensors"):
        try:
            with safe_open(checkpoints / name, framework="numpy") as file:
                names = list(file.keys())
                shapes = [file.get_slice(name).get_shape() for name in names]
        except (OSError, SafetensorError):
            continue
        return sum(int(math.prod(shape)) for shape in shapes)
    return None


def _hours(events: Sequence[Event]) -> float:
    work = WorkTime()
    for event in events:
        work.add(event)
    return work.seconds / 3600


def _duration(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h"


def _day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).date().isoformat()


def _hardware(process: Mapping[str, Any]) -> str:
    parts = [str(process.get("hardware") or process.get("device", ""))]
    if process.get("processes", 1) > 1:
        parts.append(f"{process['processes']} processes")
    if process.get("precision", "no") != "no":
        parts.append(f"mixed precision ({process['precision']})")
    return ", ".join(filter(None, parts))


def _optimiser(config: RunConfig) -> str:
    found = getattr(config.recipe, "optimiser", None)
    if not isinstance(found, OptimiserConfig):
        return ""
    warmup = f" after a warm-up of {found.warmup:.0%}" if found.warmup else ""
    return (
        f"{found.name}, learning rate {found.learning_rate:g}, weight decay "
        f"{found.weight_decay:g}, {found.schedule} schedule{warmup}"
    )


def _settings(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Yield settings by their names; where files lie is nobody's business."""
    for name, value in flat_settings(config).items():
        if name.split(".")[0] in ("preset", "recipe", "engine") and value != "":
            is_file = isinstance(value, Path) or "/" in str(value)
            yield name, "a file" if is_file else str(value)
