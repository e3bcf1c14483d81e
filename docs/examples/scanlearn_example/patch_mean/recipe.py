"""What is trained: an encoder of patches, and a linear layer on it."""

from itertools import count

import numpy as np
import torch
from torch import nn

from scanlearn.cohort.atlas.atlas_on_scans import place_cohorts
from scanlearn.cohort.working import WorkingCohorts, common_units
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.encoders.encoder_file import EncoderCard, save_encoder
from scanlearn.encoders.patch_places import patch_start
from scanlearn.engine.recipe import Recipe, StepResult
from scanlearn.randomness import numpy_generator
from scanlearn.views.normalise import normalised, shifted

SIDE = 16


class PatchMean(Recipe):
    """Batches are patches of one landmark; a pure function of the seed and the step."""

    def __init__(self, config):
        super().__init__()
        self.config, self.seed = config.recipe, config.engine.seed
        self.cohorts = WorkingCohorts(config.cohorts, None)
        self.atlas = place_cohorts(self.cohorts, LandmarkConfig(coords="field")).atlas
        self.units = common_units(self.cohorts.scans)
        size = {"width": 2, "dim": 16, "experts": 2, "patch_voxels": SIDE, "step": 0}
        place = {"spacing_mm": self.cohorts.spacing_mm, "atlas": self.atlas.to_dict()}
        self.card = EncoderCard(method="patch-mean", units=self.units, **size, **place)
        self.encoder = self.card.build()
        self.head = nn.Linear(self.card.dim, 1)

    @property
    def optimiser(self):
        return self.config.optimiser

    def parameter_groups(self):
        return [{"params": list(self.parameters())}]

    def batches(self, first_step, engine, accelerator):
        for number in count(first_step * engine.accumulate):
            stream = ("patches", number, accelerator.process_index)
            yield self.batch(numpy_generator(self.seed, *stream))

    def batch(self, random):
        where, patches = random.choice(self.atlas.landmarks), []
        for scan in random.integers(len(self.cohorts.scans), size=self.config.batch):
            start = patch_start(self.cohorts.scans[scan], where, SIDE)
            patches.append(self.cohorts.read(scan, start, (SIDE,) * 3))
        x = normalised(shifted(torch.from_numpy(np.stack(patches)), self.units))
        return {"patches": x[:, None], "where": torch.from_numpy(where)[None]}

    def forward(self, batch):
        told = self.head(self.encoder(batch["patches"], batch["where"]))[:, 0]
        mean = batch["patches"].mean(dim=(1, 2, 3, 4))
        return StepResult(nn.functional.mse_loss(told, mean))

    def export(self, folder, *, step):
        save_encoder(folder, self.encoder, self.card.model_copy(update={"step": step}))
