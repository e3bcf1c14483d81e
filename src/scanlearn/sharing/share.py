"""Writing a run to give away, after it was looked through for what it must not hold."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scanlearn.config.engine import EngineConfig
from scanlearn.config.run import RunConfig, to_yaml
from scanlearn.documents import parse_json, parse_yaml
from scanlearn.errors import BadPlace, BadRun
from scanlearn.files import written_beside
from scanlearn.runs.folder import RunFolder
from scanlearn.sharing.known_secrets import Secrets, secrets_of_run
from scanlearn.sharing.shared_texts import (
    about_text,
    facts_text,
    settings_text,
    story_text,
    words_of,
)

#: What a prediction or a fine-tuning needs of ``checkpoints/``.
_MODEL = tuple(
    f"{part}{ending}"
    for part in ("model", "encoder", "decoder")
    for ending in (".json", ".safetensors")
)

#: One time for all files: a bundle says nothing of when it was packed.
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Shared:
    """What was written.

    Parameters
    ----------
    path
        The bundle.
    files
        Names inside it.
    looked_for
        How many words and places were looked for.
    unread
        Sources of the cohorts whose headers could not be read any more.
    """

    path: Path
    files: tuple[str, ...]
    looked_for: int
    unread: int


def share(run: RunFolder, out: Path, *, card: str = "") -> Shared:
    """Write a run's model, settings, story and card as one file to give away.

    Parameters
    ----------
    run
        A run that has saved a model.
    out
        ``NAME.zip``; unpacked it is a folder ``NAME``, which is a run.
    card
        The run's model card as Markdown, where there is one.

    Raises
    ------
    BadRun
        If there is no model yet, or settings or model hold what identifies: the words
        are told by where they stand. Nothing is written then.
    """
    out = Path(out).expanduser().absolute()
    if out.suffix.lower() != ".zip":
        raise BadPlace(f"{out.name} is no name of a bundle", expected="NAME.zip")
    config, secrets = run.config(), secrets_of_run(run, run.config())
    texts = _texts(run, config, secrets, out.stem, card)
    weights = [path for path in _model(run) if path.suffix == ".safetensors"]
    _look_through(texts, weights, secrets, config)
    with written_beside(out) as beside, zipfile.ZipFile(beside, "w") as bundle:
        for name, text in texts.items():
            _add(bundle, f"{out.stem}/{name}", text.encode())
        for path in weights:
            _add(bundle, f"{out.stem}/checkpoints/{path.name}", path.read_bytes())
        names = tuple(bundle.namelist())
    looked_for = len(secrets.kinds) + len(secrets.places)
    return Shared(out, names, looked_for, secrets.unread)


def _texts(
    run: RunFolder, config: RunConfig, secrets: Secrets, name: str, card: str
) -> dict[str, str]:
    texts = {
        "README.md": about_text(config, name),
        "config.yaml": settings_text(config),
        "events.jsonl": story_text(run, secrets.without),
        "training.json": facts_text(run),
    }
    if card:
        texts["model_card.md"] = secrets.without(card)
    for path in _model(run):
        if path.suffix == ".json":
            text = path.read_text(encoding="utf-8")
            texts[f"checkpoints/{path.name}"] = _renamed(text, config)
    return texts


def _renamed(card: str, config: RunConfig) -> str:
    """Return a model's card that calls the earlier run as the settings do."""
    if config.start_from is None:
        return card
    name = config.start_from.name
    return card.replace(f'"pretrained": "{name}"', '"pretrained": "earlier-run"')


def _model(run: RunFolder) -> list[Path]:
    found = [run.checkpoints / name for name in _MODEL]
    found = [path for path in found if path.is_file()]
    if not any(path.suffix == ".safetensors" for path in found):
        raise BadRun(
            f"{run.name} has no model to share yet",
            expected="a run that has saved at least once",
            next_step="Train it first",
        )
    return found


def _look_through(
    texts: dict[str, str], weights: list[Path], secrets: Secrets, config: RunConfig
) -> None:
    """Refuse where settings, cards or headers of weights hold a secret."""
    known = _own_words(config)
    words = list(_all_words(texts, weights))
    looked_for = secrets.within("\n".join(text for _, _, text in words))
    for word in [s for s in looked_for.kinds if s.casefold() in known]:
        del looked_for.kinds[word]
    for file, where, text in words:
        found = looked_for.found_in(text)
        if found:
            raise BadRun(
                f"{file} holds {found} (at '{where}'): nothing was written",
                expected="settings and names of classes that tell nobody",
                next_step="Rename it in a copy of the run, then share that",
            )


def _all_words(
    texts: dict[str, str], weights: list[Path]
) -> Iterator[tuple[str, str, str]]:
    for name, text in texts.items():
        if name.endswith((".json", ".yaml")):
            parse = parse_json if name.endswith(".json") else parse_yaml
            for where, word in words_of(parse(text)):
                yield name, where, word
    for path in weights:
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = parse_json(stream.read(min(size, 100_000_000)))
        for where, word in words_of(header):
            yield path.name, where, word


def _own_words(config: RunConfig) -> set[str]:
    """Return words that any run of its kind has: *atlas* is nobody's file here."""
    recipe = type(config.recipe)(name=config.recipe.name)
    usual = config.model_copy(update={"recipe": recipe, "engine": EngineConfig()})
    document = parse_yaml(to_yaml(usual))
    return {
        piece.casefold()
        for _, word in words_of({k: document[k] for k in ("kind", "recipe", "engine")})
        for piece in word.replace("_", " ").replace("-", " ").split()
    }


def _add(bundle: zipfile.ZipFile, name: str, content: bytes) -> None:
    about = zipfile.ZipInfo(name, _TIME)
    about.compress_type = zipfile.ZIP_DEFLATED
    bundle.writestr(about, content)
