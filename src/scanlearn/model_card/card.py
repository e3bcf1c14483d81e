"""The model card of a run: what it is, what it learned from, and how well.

Everything is read from the run and its cohorts; what they do not tell is said to be
unknown. Names of runs, cohorts, hosts and files stay out, because people put names of
patients and clinics into them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from scanlearn.config.run import RunConfig
from scanlearn.errors import BadRun
from scanlearn.files import write_text
from scanlearn.model_card import references
from scanlearn.model_card.data import DataFacts, data_facts
from scanlearn.model_card.initial_weights import Start, sentence, starts_of
from scanlearn.model_card.markup import listed, page, section, table
from scanlearn.model_card.results import ResultFacts, result_facts
from scanlearn.model_card.training import TrainingFacts, training_facts
from scanlearn.pretraining.method import Method
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.tables.results import DISCLAIMER
from scanlearn.tasks.task import Task

#: How a card may be written, by the ending of its file.
ENDINGS = (".md", ".html")


def model_card(run: RunFolder, learned: Task | None, method: Method | None) -> str:
    """Return the card of a run in Markdown.

    Parameters
    ----------
    run
        Of a training that has saved something, or holds imported weights.
    learned, method
        The task or the method that its configuration names; the other is None.

    Raises
    ------
    BadRun
        If nothing has been trained yet.
    """
    config = run.config()
    if not any(run.checkpoints.glob("*.json")):
        raise BadRun(
            f"{run.name} has no trained model yet",
            expected="a run that has saved at least once",
            next_step="Ask again when it has saved, or resume it",
        )
    known = learned or method
    title = known.offer.title if known is not None else config.recipe.name
    data = data_facts(run, config, learned)
    training = training_facts(run, config)
    results = result_facts(run, config)
    starts = starts_of(config)
    parts = (
        f"# Model card: {title}",
        f"> {DISCLAIMER}. For research only.",
        section("Methods", _paragraph(config, title, data, training, results, starts)),
        data.markdown(),
        _weights(starts),
        training.markdown(),
        results.markdown(),
        training.appendix(),
        _references(config, starts),
        f"Model {_identity(run)}. {DISCLAIMER}.",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def write_card(path: Path, card: str) -> None:
    """Write a card as Markdown, or as a page where the file's name ends in ``.html``.

    Raises
    ------
    BadRun
        If the name has another ending.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise BadRun(
            f"{path.name} has the ending '{ending}'",
            expected=" or ".join(ENDINGS),
            next_step="Name the file with one of these",
        )
    title = card.splitlines()[0].lstrip("# ")
    write_text(path, page(card, title) if ending == ".html" else card)


def _paragraph(
    config: RunConfig,
    title: str,
    data: DataFacts,
    training: TrainingFacts,
    results: ResultFacts,
    starts: tuple[Start, ...],
) -> str:
    """Return the paragraph for the methods section of a paper."""
    version = training.versions.get("napari-scanlearn", "")
    software = f"napari-scanlearn {version}".strip()
    if config.imported is not None:
        return f"The model holds {starts[0].what}, imported by {software}."
    kind = "pre-trained without labels" if config.kind == "pretrain" else "fine-tuned"
    sentences = [f"A model ({title}) was {kind} with {software}{_on(data)}."]
    sentences += [sentence(starts), *data.labels[:1], _schedule(training)]
    return " ".join(filter(None, [*sentences, results.headline()]))


def _on(data: DataFacts) -> str:
    if data.scans is None:
        return ""
    kinds = sorted({row[1] for row in data.rows})
    return f" on {data.scans} scans ({', '.join(kinds)}) of {data.patients} patients"


def _schedule(training: TrainingFacts) -> str:
    passes = f" ({training.passes:.3g} passes over the data)" if training.passes else ""
    steps = f"{training.step:,} steps" if training.optimiser else "one fit"
    parts = [f"Training took {steps}{passes}"]
    if training.optimiser:
        parts.append(f"by {training.optimiser}")
    parts.append(f"with seed {training.seed}")
    if training.hardware:
        parts.append(f"on {training.hardware}")
    if training.time:
        parts.append(f"in {training.time}")
    return ", ".join(parts) + "."


def _weights(starts: tuple[Start, ...]) -> str:
    rows = [(start.what, start.licence) for start in starts]
    return section(
        "Initial weights",
        sentence(starts),
        table(("from", "licence"), rows),
    )


def _references(config: RunConfig, starts: tuple[Start, ...]) -> str:
    others = references.not_used(config, starts)
    return section(
        "References",
        listed(references.used(config, starts)),
        "Of this package, but not used by this model:" if others else "",
        listed(others),
    )


def _identity(run: RunFolder) -> str:
    """Return what tells this model from others: a hash of its weights' card."""
    digest = hashlib.sha256()
    for file in sorted(run.checkpoints.glob("*.json")):
        digest.update(file.read_bytes())
    for file in sorted(run.checkpoints.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
