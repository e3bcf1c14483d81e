"""The decoder of a pre-trained U-Net, beside its encoder."""

from __future__ import annotations

from pathlib import Path

from scanlearn.encoders.encoder_file import load_weights, read_card, save_weights
from scanlearn.errors import BadRun
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.nets.slice_unet import SliceUNet

DECODER = "decoder.safetensors"


def save_decoder(folder: Path, unet: SliceUNet | LocationUNet) -> None:
    """Write all of a U-Net but its encoder and its last layer, whose classes differ."""
    save_weights(folder / DECODER, unet.stages.state_dict())


def take_decoder(unet: SliceUNet | LocationUNet, run: Path | None) -> bool:
    """Give a U-Net on a run's encoder the decoder that was trained with it.

    One that ends at a coarser stride takes the stages that it has.

    Returns
    -------
    bool
        Whether there is one: of pre-trainings without a dense term there is none.

    Raises
    ------
    BadRun
        If its file does not fit the encoder.
    """
    if run is None or not read_card(run).decoder:
        return False
    found, wanted = (
        load_weights(run / "checkpoints" / DECODER),
        unet.stages.state_dict(),
    )
    try:
        unet.stages.load_state_dict({n: x for n, x in found.items() if n in wanted})
    except RuntimeError:
        raise BadRun(
            f"{run} has a decoder ({DECODER}) of another network than its encoder",
            expected="both files from the same training",
            next_step="Resume the run so that it saves them again",
        ) from None
    return True
