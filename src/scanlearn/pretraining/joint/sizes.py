"""What a joint training fits to its cohorts: decks, clusters, encoder, views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scanlearn.cohort.slices import Image, SliceCohorts, Volume
from scanlearn.config.engine import EngineConfig
from scanlearn.config.joint import JointConfig, StagesConfig
from scanlearn.encoders.encoder_file import load_slice_encoder
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard
from scanlearn.errors import BadRun
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.pretraining.joint.agreement import Agreement, make_agreement
from scanlearn.pretraining.joint.pixel_agreement import PixelAgreement, crop_side
from scanlearn.pretraining.joint.pixel_crops import PixelCrops
from scanlearn.pretraining.joint.slice_batches import Deck, Schedule, StepPlan
from scanlearn.pretraining.joint.slice_views import image_views, slice_views
from scanlearn.runs.events import Message
from scanlearn.views.kind_views import KindViews


@dataclass(frozen=True)
class JointViewSets:
    """The views of images and of volumes; ``crops`` holds name, views and number."""

    crops: tuple[tuple[str, KindViews, int], ...]
    volume: KindViews

    @classmethod
    def of(cls, config: JointConfig) -> Self:
        """Make the views of a configuration."""
        views = config.views

        large = image_views(
            views,
            size=config.image_crop,
            area=views.area,
            film_area=views.films.area if views.films else None,
        )
        small = image_views(views, size=views.local_side, area=views.local_area)
        volume = slice_views(views, size=config.slice_side, area=views.volume_area)
        return cls(
            crops=(("large", large, 2), ("small", small, views.local_crops)),
            volume=KindViews(volume),
        )


def step_plan(
    config: JointConfig, cohorts: SliceCohorts, engine: EngineConfig
) -> StepPlan:
    """Fix which samples every step sees; without volumes, images alone."""
    several = len(cohorts.volumes) > 1
    stages = config.stages if several else StagesConfig(warm=1, mask=0, joint=0)

    def deck(items: Sequence[Image | Volume], batch: int, name: str) -> Deck:
        sources = tuple(item.source for item in items)
        return Deck(sources, batch, config.balance, engine.seed, name)

    volumes = cohorts.volumes
    return StepPlan(
        Schedule(stages, engine.steps),
        deck(cohorts.images, config.batch, "images"),
        deck(volumes, config.volume_batch, "volumes") if several else None,
        accumulate=engine.accumulate,
        joint_images=config.intra > 0,
        joint_volumes=config.inter + config.masked > 0,
        crops=deck(cohorts.images, config.pixels.batch, "crops")
        if config.dense
        else None,
    )


def agreement_of(
    config: JointConfig, items: Sequence[Image] | Sequence[Volume], *, seed: int
) -> Agreement:
    """Make the agreement of images or of volumes, fitted to how many there are."""
    images = isinstance(items[0], Image)
    return make_agreement(
        config.images if images else config.volumes,
        swav=config.clustering == "swav",
        samples=len(items),
        batch=min(len(items), config.batch if images else config.volume_batch),
        dim=config.head_dim if images else config.transformer.dim,
        seed=seed,
        name="images" if images else "volumes",
    )


def pixel_crops(
    config: JointConfig, cohorts: SliceCohorts, *, seed: int
) -> PixelCrops | None:
    """Return where pixels come from, if they are grouped."""
    if not config.dense:
        return None
    shapes = [image.record.shape for image in cohorts.images]
    return PixelCrops(cohorts, crop_side(config.pixels, shapes), seed)


def pixel_agreement(
    config: JointConfig, encoder: SliceEncoder, crops: PixelCrops | None
) -> PixelAgreement | None:
    """Make what groups pixels, if they are."""
    if crops is None:
        return None
    return PixelAgreement(encoder, crops, config=config.pixels, views=config.views)


def slice_encoder_card(config: JointConfig, cohorts: SliceCohorts) -> SliceEncoderCard:
    """Describe the encoder of a training, from which it can be built anywhere."""
    units = {image.record.intensity.units for image in cohorts.images}
    return SliceEncoderCard(
        method="joint",
        trunk=config.trunk,
        transformer=config.transformer,
        slice_side=config.slice_side,
        slices=config.slices,
        units=tuple(sorted(units)),
        holistic=False,
        decoder=config.dense > 0,
        step=0,
    )


def take_trunk(encoder: SliceEncoder, start_from: Path | None) -> list[Message]:
    """Give an encoder the trunk of another run, if one is named.

    Raises
    ------
    BadRun
        If that run has another trunk.
    """
    if start_from is None:
        return []
    found, card = load_slice_encoder(start_from)
    try:
        encoder.trunk.load_state_dict(found.trunk.state_dict())
    except RuntimeError:
        raise BadRun(
            f"The trunk of {start_from} is a {card.trunk.architecture} of width "
            f"{card.trunk.width}",
            expected="the same trunk as this training's",
            next_step=f"Set trunk.architecture={card.trunk.architecture} and "
            f"trunk.width={card.trunk.width}",
        ) from None
    return [Message(text=f"The trunk begins as that of {start_from.name}.")]


def source_message(cohorts: SliceCohorts, plan: StepPlan) -> list[Message]:
    """Say how many volumes and images came from where, and when the stages begin."""
    found = [
        f"{name}: {volumes} volumes, {images} images"
        for name, (volumes, images) in cohorts.counts().items()
    ]
    names = {"warm": "images alone", "mask": "hidden slices", "joint": "all together"}
    begins = [
        f"{names[stage]} from step {first}"
        for stage, first in plan.schedule.starts.items()
    ]
    text = (
        f"{'; '.join(found)}. Stages: {', '.join(begins)}; "
        f"{plan.schedule.trunk_updates} of {plan.schedule.steps} steps change the "
        "trunk."
    )
    return [Message(text=text)]
