"""Training the encoder itself on labelled places: probe first, then fine-tune.

The layer on top begins as the logistic regression on frozen features, so that its first
steps do not undo what the encoder knows (Kumar et al., ICLR 2022). Batch norm keeps the
statistics of the pre-training: a few labels would not give better ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn import processes
from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.config.texture import TextureConfig
from scanlearn.engine.recipe import Batch, Recipe, StepResult, check_share
from scanlearn.errors import BadConfig
from scanlearn.features.axial_describers import SliceDescriber
from scanlearn.features.describer_choice import describer_for
from scanlearn.features.linear import LinearModel, fit_logistic
from scanlearn.features.patch_describer import EncoderDescriber
from scanlearn.randomness import numpy_generator, torch_generator
from scanlearn.runs.events import Event, Message
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.texture.card import TextureCard, save_texture
from scanlearn.tasks.texture.labels import Place, PlaceSet
from scanlearn.tasks.texture.learn_frozen import (
    class_numbers,
    never_learned,
)

#: Random changes of intensity that leave a texture's class true (HU); more hurts.
_SHIFT, _NOISE = 15.0, 20.0

_ENOUGH_PATIENTS = 5


class TextureTraining(Recipe):
    """Encoder and linear layer, trained on patches around labelled places.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`TextureConfig`.
    run
        Where the labels taken at launch are.
    """

    score = "balanced accuracy"
    divisible = True

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        super().__init__()
        self.config, self.seed = config.section(TextureConfig), config.engine.seed
        saved = PlaceSet.load(run.inputs)
        places = [place for place in saved.places if place.split != "test"]
        spacing = Cohort(config.cohorts[0]).record(places[0].scan).spacing_mm
        features, describer = describer_for(
            config.start_from,
            run.path,
            patch_mm=self.config.patch_mm,
            spacing_mm=spacing,
        )
        if not isinstance(describer, EncoderDescriber | SliceDescriber):
            raise BadConfig(
                "method=full trains an encoder, and from scratch there is none",
                expected="--from RUN, or method=frozen",
                next_step="Name a pre-training run",
            )
        self.describer = describer
        self.encoder: nn.Module = describer.module
        self._told: list[Event] = []
        self.voxels, self.where, kept = self._read(config.cohorts[0], places)
        self.classes = class_numbers(kept, saved.classes)
        self.train_rows, self.test_rows = _split(
            kept, self.classes, self.config.validation, self.seed
        )
        self.head = self._probed(len(saved.classes))
        self.card = TextureCard(
            features=features,
            patch_mm=self.config.patch_mm,
            spacing_mm=spacing,
            stride_mm=self.config.stride_mm,
            classes=saved.classes,
            labels=tuple(
                np.bincount(self.classes, minlength=len(saved.classes)).tolist()
            ),
            pretrained=config.start_from.name if config.start_from else "",
        )
        self._step = 0

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the layer on top, and the encoder at its own rate."""
        encoder = [p for p in self.encoder.parameters() if p.requires_grad]
        return [
            {"params": list(self.head.parameters())},
            {"params": encoder, "rate": self.config.encoder_rate},
        ]

    def train(self, mode: bool = True) -> TextureTraining:
        """Set the mode; batch norm always keeps its statistics."""
        super().train(mode)
        self.encoder.eval()
        return self

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield ``voxels``, ``locations`` and ``classes``, every class as often."""
        of_class = [
            self.train_rows[self.classes[self.train_rows] == k]
            for k in np.unique(self.classes[self.train_rows])
        ]
        check_share(self.config.batch, accelerator.num_processes, least=1)
        step = first_step * engine.accumulate
        while True:
            rng = numpy_generator(self.seed, "places", step, 0)
            chosen = rng.integers(len(of_class), size=self.config.batch)
            rows = [int(rng.choice(of_class[k])) for k in chosen]
            rows = rows[accelerator.process_index :: accelerator.num_processes]
            yield {
                "voxels": self.voxels[rows],
                "locations": self.where[rows],
                "classes": torch.from_numpy(self.classes[rows]),
            }
            step += 1

    def messages(self) -> list[Message]:
        """Say what could not be read."""
        told = [event for event in self._told if isinstance(event, Message)]
        return [*told, *never_learned(self.card)]

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views are drawn from its own stream."""
        self._step = step

    def forward(self, batch: Batch) -> StepResult:
        """Return the cross-entropy of a batch of views."""
        x = self._view(batch["voxels"])
        logits = self.head(self.describer.encode(x, batch["locations"]).float())
        return StepResult(F.cross_entropy(logits, batch["classes"]))

    def validate(self) -> dict[str, float]:
        """Return the balanced accuracy on held-out patients."""
        if not len(self.test_rows):
            return {}
        from sklearn.metrics import balanced_accuracy_score

        scores = self.head(self._encoded(self.test_rows))
        guess = scores.argmax(dim=1).cpu().numpy()
        truth = self.classes[self.test_rows]
        return {"balanced accuracy": float(balanced_accuracy_score(truth, guess))}

    def export(self, folder: Path, *, step: int) -> None:
        """Write the trained encoder and the layer as a linear model."""
        self.describer.save_trained(folder)
        weight = self.head.weight.detach().double().cpu().numpy()
        bias = self.head.bias.detach().double().cpu().numpy()
        d = weight.shape[1]
        model = LinearModel(np.zeros(d), np.ones(d), weight, bias)
        save_texture(folder, model, self.card)

    def _read(
        self, cohort: Path, places: list[Place]
    ) -> tuple[Tensor, Tensor, list[Place]]:
        of_scan: dict[str, list[Place]] = {}
        for place in places:
            of_scan.setdefault(place.scan, []).append(place)
        voxels, where, kept = [], [], []
        for scan in self.describer.from_cohort(cohort, of_scan.keys(), self._told):
            mine = of_scan[scan.key]
            x, locations = self.describer.cut(scan, [place.point for place in mine])
            voxels.append(x)
            where.append(locations)
            kept += mine
        return torch.cat(voxels), torch.cat(where), kept

    def _probed(self, classes: int) -> nn.Linear:
        """Return the logistic regression on frozen features as a layer."""
        self.encoder.eval()
        with torch.no_grad():
            x = self._encoded(self.train_rows).cpu().numpy()
        y = self.classes[self.train_rows]
        penalty = self.config.penalty or self.describer.penalty
        model = fit_logistic(x, y, penalty=penalty, count=classes)
        weight, bias = model.plain()
        layer = nn.Linear(x.shape[1], classes)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        return layer

    def _encoded(self, rows: NDArray[np.int_]) -> Tensor:
        device = next(self.encoder.parameters()).device
        some = [rows[n : n + 64] for n in range(0, len(rows), 64)]
        parts = [
            self.describer.encode(
                self.voxels[part].to(device), self.where[part].to(device)
            )
            for part in some
        ]
        return torch.cat(parts).float()

    def _view(self, x: Tensor) -> Tensor:
        """Change intensities; turn and mirror axial patches by right angles."""
        generator = torch_generator(self.seed, "views", self._step, device=x.device)

        def draw(*shape: int) -> Tensor:
            drawn = torch.randn(shape, generator=generator, device=x.device)
            return processes.share(drawn)

        n, ones = processes.whole(len(x)), (1,) * (x.ndim - 1)
        shift = _SHIFT * draw(n, *ones)
        spread = torch.rand((n, *ones), generator=generator, device=x.device)
        spread = _NOISE * processes.share(spread)
        x = (x + shift + spread * draw(n, *x.shape[1:])).clamp(min=0)
        if x.ndim == 3:
            turn = int(numpy_generator(self.seed, "turn", self._step).integers(8))
            x = torch.rot90(x, turn % 4, (1, 2))
            x = x.flip(2) if turn >= 4 else x
        return x


def _split(
    places: list[Place], classes: NDArray[np.int_], share: float, seed: int
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Hold out whole patients where enough are left, with every class among them."""
    rows = np.arange(len(places))
    patients = sorted({place.patient for place in places})
    if len(patients) < _ENOUGH_PATIENTS or share == 0:
        return rows, rows[:0]
    count = max(1, round(share * len(patients)))
    order = numpy_generator(seed, "held out").permutation(patients)
    out = set(order[:count].tolist())
    held = np.array([place.patient in out for place in places])
    if len(set(classes[~held].tolist())) < len(set(classes.tolist())):
        return rows, rows[:0]
    return rows[~held], rows[held]
