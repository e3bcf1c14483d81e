"""What a fine-tuning leaves: weights, and a card that says how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor, nn

from scanlearn.config.run import explain
from scanlearn.encoders.encoder_file import Buildable, built, save_weights
from scanlearn.errors import BadRun
from scanlearn.files import write_text
from scanlearn.tasks.shared.earlier_model import CARD

WEIGHTS = "model.safetensors"

_Card = TypeVar("_Card")
_Network = TypeVar("_Network", bound=nn.Module)


def save_model(folder: Path, weights: dict[str, Tensor], card: BaseModel) -> None:
    """Write both files into a run's ``checkpoints/``, the card last."""
    save_weights(folder / WEIGHTS, weights)
    write_text(folder / CARD, card.model_dump_json(indent=1))


def read_model_card(run: Path, kind: TypeAdapter[_Card], *, task: str) -> _Card:
    """Read a run's ``model.json``.

    Raises
    ------
    BadRun
        If it has none yet, or learned another task.
    """
    path = run / "checkpoints" / CARD
    try:
        return kind.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadRun(
            f"{run} has no trained model ({CARD} is missing)",
            expected="a fine-tuning run that has saved at least once",
            next_step=f"Choose a run made by 'scanlearn finetune --task {task}'",
        ) from None
    except ValidationError as error:
        raise BadRun(f"{path} cannot be understood: {explain(error)}") from None


def expected(card: object, kind: type[_Card], run: Path) -> _Card:
    """Return a card as one of a kind.

    Raises
    ------
    BadRun
        If it is another: the run learned the task on other scans.
    """
    if not isinstance(card, kind):
        raise BadRun(
            f"{run} has a model of another kind ({type(card).__name__})",
            expected=kind.__name__,
            next_step="Choose a run that was trained on scans like these",
        )
    return card


def load_network(card: Buildable[_Network], run: Path) -> _Network:
    """Make the network of a card with a run's weights, on the CPU, to be used."""
    return built(card, run, weights=WEIGHTS, name=CARD).eval()
