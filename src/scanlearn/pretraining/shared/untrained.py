"""The untrained twin of a pre-training, by which its worth is measured."""

from __future__ import annotations

from pathlib import Path

from scanlearn.encoders.encoder_file import read_card, save_encoder
from scanlearn.randomness import seed_everything
from scanlearn.runs.folder import RunFolder


def write_untrained(run: Path, out: Path, *, seed: int) -> RunFolder:
    """Write a run with an encoder of the same make and places, and new weights.

    Batch norms are as initialised: a fine-tuning trains them like everything else.

    Parameters
    ----------
    run
        A pre-training that has saved.
    out
        The new run, which must not exist.
    seed
        Of the weights.
    """
    card = read_card(run)
    seed_everything(seed, "untrained")
    encoder = card.build()
    folder = RunFolder.create(out, RunFolder(run).config())
    save_encoder(
        folder.checkpoints,
        encoder,
        card.model_copy(update={"step": 0, "trained": False}),
    )
    return folder
