"""Classifying images by frozen features: seen once, then a logistic regression."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from scanlearn.config.classification import ClassificationConfig
from scanlearn.config.run import RunConfig
from scanlearn.engine.devices import choose_device
from scanlearn.engine.fitting import Fit
from scanlearn.features.linear import Floats
from scanlearn.metrics.class_scores import mean_scores, scores_of_classes
from scanlearn.runs.events import Message
from scanlearn.tasks.classification.card import save_classifier
from scanlearn.tasks.classification.head import fit_head, held_out_logits, set_head
from scanlearn.tasks.classification.labelled_images import Classification


class ImageFit(Fit):
    """A linear layer on a trunk that stays as it is.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`ClassificationConfig`.
    opened
        Network and labelled images.
    """

    def __init__(self, config: RunConfig, opened: Classification) -> None:
        self.config, self.seed = (
            config.section(ClassificationConfig),
            config.engine.seed,
        )
        self.network, self.images = opened.network.eval(), opened.images
        self.card = opened.card
        self.device = torch.device(choose_device(config.engine.device))
        self.network.to(self.device)
        self._features: list[Floats] = []

    @property
    def parts(self) -> int:
        """How many batches of images there are."""
        return len(self.images.batches())

    def messages(self) -> list[Message]:
        """Say how it is learned."""
        whose = "pre-trained" if self.card.pretrained else "untrained"
        text = (
            f"{len(self.images)} labelled images: logistic regression on the features "
            f"of the {whose} trunk, which stays as it is"
        )
        return [Message(text=text), *self._missing()]

    @torch.inference_mode()
    def work(self) -> Iterator[Message | None]:
        """See every image once."""
        for rows in self.images.batches():
            x = self.network.features(self.images.stack(rows, self.device))
            self._features.append(x.double().cpu().numpy())
            yield None

    def finish(self) -> dict[str, float]:
        """Fit on all images; returns scores on patients that were not fitted to.

        Those whom the table holds out, else each patient by a model of other folds.
        """
        x, targets = np.concatenate(self._features), self.images.targets
        out = np.array([item.split == "val" for item in self.images.items])
        several, penalty = self.card.several, self.config.penalty
        truth, logits = targets, None
        if out.any() and not out.all():
            model = fit_head(x[~out], targets[~out], several=several, penalty=penalty)
            truth, logits = targets[out], np.asarray(model.scores(x[out]))
        else:
            model = fit_head(x, targets, several=several, penalty=penalty)
            logits = held_out_logits(
                x,
                targets,
                self.images.items,
                several=several,
                penalty=penalty,
                count=self.config.folds,
                seed=self.seed,
            )
        set_head(self.network, model)
        if logits is None:
            return {}
        shares = self.card.probabilities(logits)
        found = mean_scores(
            scores_of_classes(truth, shares, self.card.classes, several=several)
        )
        self.card = self.card.model_copy(update={"held_out": found})
        return found

    def export(self, folder: Path) -> None:
        """Write the network with its layer."""
        save_classifier(folder, self.network.cpu(), self.card)

    def _missing(self) -> list[Message]:
        counts = zip(self.card.classes, self.card.labels, strict=True)
        return [
            Message(
                severity="warning",
                text=f"No labelled image shows '{name}': it cannot be learned",
            )
            for name, count in counts
            if not count
        ]
