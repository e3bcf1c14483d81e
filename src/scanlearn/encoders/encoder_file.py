"""The trained encoder as two files: weights, and how they are to be used elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.config.run import explain
from scanlearn.documents import parse_json, read_text
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard
from scanlearn.errors import BadRun, Diverged
from scanlearn.files import write_text, written_beside
from scanlearn.nets.dense_encoder import STRIDE, DenseEncoder, pool_of
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.slice_encoder import SliceEncoder

Encoder = LocationEncoder | DenseEncoder

_Built = TypeVar("_Built", bound=nn.Module, covariant=True)

WEIGHTS = "encoder.safetensors"
CARD = "encoder.json"

#: Side of the tiles that a U-Net is pre-trained on as a whole, in voxels.
UNET_TILE = 32


class Convention(BaseModel):
    """How an encoder's inputs follow from locations of frames and canonical patches.

    Encoders trained here take both as they are; released ones have their own ways.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: The encoder's location is ``scale * location + offset``, along x, y, z.
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    #: Array axes of a patch (S, P, L) that run the other way.
    flipped: tuple[bool, bool, bool] = (False, False, False)

    @property
    def flipped_axes(self) -> tuple[int, ...]:
        """The flipped axes of a patch, counted from the last: -3, -2, -1."""
        return tuple(n - 3 for n, flipped in enumerate(self.flipped) if flipped)

    def locations(self, locations: NDArray[np.floating]) -> NDArray[np.float32]:
        """Make the encoder's locations of locations (..., 3) in a frame."""
        scaled = locations * np.array(self.scale) + np.array(self.offset)
        return np.asarray(scaled, dtype=np.float32)

    def patches(self, voxels: NDArray[np.generic]) -> NDArray[np.generic]:
        """Turn patches (..., S, P, L) as the encoder was trained on them."""
        return np.flip(voxels, self.flipped_axes)


class EncoderCard(BaseModel):
    """What another program must know to use the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    architecture: Literal["location-encoder", "dense-encoder"] = "location-encoder"
    method: str
    width: int
    dim: int
    experts: int
    #: Side of the patches it takes (with their halo), and the working voxel size.
    patch_voxels: int
    spacing_mm: tuple[float, float, float]
    #: How many voxels of its cohort made a working voxel along each axis.
    pooling: int = 1
    units: Literal["HU", "zscore", "unit"]
    #: Of the curve its input passes (``scanlearn.nets.tone_curve``).
    knee: float | None = None
    convention: Convention = Convention()
    #: What the locations refer to (``scanlearn.anatomy.landmarks.Atlas``).
    atlas: dict[str, Any]
    #: Of the dense encoder: step of the location (x, y, z) per voxel.
    voxel_step: tuple[float, float, float] = (0.0, 0.0, 0.0)
    step: int
    #: Whether a decoder was trained with it (``scanlearn.encoders.decoder_file``).
    decoder: bool = False
    #: False for the twin of a comparison, which has the shape and nothing learned.
    trained: bool = True

    @property
    def core_voxels(self) -> int:
        """Side of a patch without its halo."""
        if self.architecture == "dense-encoder":
            return STRIDE * pool_of(self.patch_voxels)
        return self.patch_voxels

    @property
    def stored_spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size of the cohort it was trained on."""
        s, p, l = self.spacing_mm  # noqa: E741 - the axes are S, P, L
        return s / self.pooling, p / self.pooling, l / self.pooling

    def located(self) -> Atlas:
        """Return what its locations refer to.

        Raises
        ------
        BadRun
            If the atlas was changed: locations would mean other places.
        """
        try:
            return Atlas.from_dict(self.atlas)
        except (ValueError, KeyError, TypeError) as error:
            raise BadRun(
                f"The atlas of this encoder cannot be used: {error}",
                expected=f"{CARD} as the training wrote it",
                next_step="Resume the run so that it saves it again",
            ) from None

    def build(self) -> Encoder:
        """Make the network, untrained."""
        if self.architecture == "dense-encoder":
            return DenseEncoder(
                width=self.width,
                dim=self.dim,
                basis=self.experts,
                pool=pool_of(self.patch_voxels),
                voxel_step=self.voxel_step,
                knee=self.knee,
            )
        return LocationEncoder(
            width=self.width, dim=self.dim, experts=self.experts, knee=self.knee
        )


Card = Annotated[EncoderCard | SliceEncoderCard, Field(discriminator="architecture")]

_CARDS: TypeAdapter[EncoderCard | SliceEncoderCard] = TypeAdapter(Card)


def save_encoder(
    folder: Path, encoder: nn.Module, card: EncoderCard | SliceEncoderCard
) -> None:
    """Write both files beside their places and rename them."""
    save_weights(folder / WEIGHTS, encoder.state_dict())
    write_text(folder / CARD, card.model_dump_json(indent=1))


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, beside first.

    Raises
    ------
    Diverged
        If one of them holds what is no finite number; a file already there stays.
    """
    plain = {name: x.detach().cpu().contiguous() for name, x in weights.items()}
    if bad := [name for name, x in plain.items() if not bool(x.isfinite().all())]:
        raise Diverged(f"{bad[0]} of {path.name} is not finite")
    with written_beside(path) as draft:
        save_file(plain, draft)


def read_card(run: Path) -> EncoderCard | SliceEncoderCard:
    """Read a run's ``encoder.json``, or say that it has no encoder yet."""
    path = run / "checkpoints" / CARD
    try:
        return _CARDS.validate_python(parse_json(read_text(path)))
    except FileNotFoundError:
        raise BadRun(
            f"{run} has no trained encoder ({CARD} is missing)",
            expected="a pre-training run that has saved at least once",
            next_step="Choose another run, or train from scratch",
        ) from None
    except ValidationError as error:
        raise BadRun(f"{path} cannot be understood: {explain(error)}") from None
    except ValueError as error:
        raise BadRun(f"{path} cannot be understood: {error}") from None


def read_patch_card(run: Path) -> EncoderCard:
    """Read the card of an encoder of patches.

    Raises
    ------
    BadRun
        If the run has none, or one that sees slices.
    """
    card = read_card(run)
    if not isinstance(card, EncoderCard):
        raise BadRun(
            f"{run} has an encoder of slices",
            expected="a pre-training with --method drasclr, which sees patches in "
            "three dimensions",
            next_step="Choose another run",
        )
    return card


def load_encoder(run: Path) -> tuple[Encoder, EncoderCard]:
    """Load a run's encoder of patches, on the CPU, in evaluation mode.

    Raises
    ------
    BadRun
        If the run has none, or one that sees slices.
    """
    card = read_patch_card(run)
    encoder = built(card, run, weights=WEIGHTS, name=CARD)
    return encoder.eval(), card


def load_slice_encoder(run: Path) -> tuple[SliceEncoder, SliceEncoderCard]:
    """Load a run's encoder of slices, on the CPU, in evaluation mode.

    Raises
    ------
    BadRun
        If the run has none, or one that sees patches.
    """
    card = read_card(run)
    if not isinstance(card, SliceEncoderCard):
        raise BadRun(
            f"{run} has an encoder of patches in three dimensions",
            expected="a pre-training with --method joint, which sees slices",
            next_step="Choose another run",
        )
    encoder = built(card, run, weights=WEIGHTS, name=CARD)
    return encoder.eval(), card


def load_encoder_for_frames(run: Path) -> tuple[LocationEncoder, EncoderCard]:
    """Load a run's encoder to be trained on: its convention becomes that of frames.

    Flipping kernels for flipped axes is exact but for the strides, which begin at the
    other end. Layers of a U-Net that its patches were too small to train are left new:
    trained taps among those that never saw anything are noise where maps are larger.

    Raises
    ------
    BadRun
        If it is no :class:`LocationEncoder`.
    """
    encoder, card = load_encoder(run)
    if not isinstance(encoder, LocationEncoder):
        raise BadRun(
            f"{run} has a dense encoder, which keeps no maps at full resolution for a "
            "U-Net",
            expected="a pre-training with encoder.architecture=release",
            next_step="Choose another run, or start from scratch",
        )
    ways = card.convention
    encoder.adopt(ways.scale, ways.offset, ways.flipped_axes)
    fresh = card.build()
    assert isinstance(fresh, LocationEncoder)
    side = UNET_TILE if card.decoder else card.patch_voxels
    reached = encoder.layers_reached(side)
    for number in range(reached, encoder.taps[-1] + 1):
        encoder.layers[number].load_state_dict(fresh.layers[number].state_dict())
    return encoder, card.model_copy(update={"convention": Convention()})


class Buildable(Protocol[_Built]):
    """A card that can make the network whose weights lie beside it."""

    def build(self) -> _Built:
        """Make the network, untrained."""
        ...


def built(card: Buildable[_Built], run: Path, *, weights: str, name: str) -> _Built:
    """Make a card's network with the weights beside it in a run's ``checkpoints/``.

    Shapes are compared before memory is taken: a card can promise any size.

    Raises
    ------
    BadRun
        If the weights are missing, damaged or those of another network.
    """
    found = load_weights(run / "checkpoints" / weights)
    try:
        if promised_shapes(card) == _shapes(found):
            network = card.build()
            network.load_state_dict(found)
            return network
    except (RuntimeError, ValueError, TypeError, ArithmeticError):
        pass
    raise BadRun(
        f"{run} has weights ({weights}) of another network than {name} describes",
        expected="both files from the same training",
        next_step="Resume the run so that it saves them again",
    )


def promised_shapes(card: Buildable[nn.Module]) -> dict[str, torch.Size]:
    """Return the shapes of a card's weights; no memory is taken for them."""
    with torch.device("meta"):
        return _shapes(card.build().state_dict())


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: x.shape for name, x in weights.items()}


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors from a safetensors file; no code in it can run."""
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise BadRun(
            f"The weights {path} cannot be read: {error}",
            next_step="Resume the run so that it saves them again",
        ) from None
