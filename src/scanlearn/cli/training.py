"""Commands that start trainings: pretrain and finetune."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from scanlearn.cli.class_table import print_classes
from scanlearn.cli.options import (
    AsJson,
    IgnoreReference,
    MethodName,
    MethodPreset,
    Settings,
    TaskName,
    TaskPreset,
    cohort_folder,
)
from scanlearn.cli.output import console
from scanlearn.cli.watching import launch_and_follow
from scanlearn.config.run import load_yaml, merge, parse_settings
from scanlearn.errors import BadConfig
from scanlearn.new_run import (
    finetuning_config,
    labels_for,
    new_finetuning,
    new_pretraining,
    planned_for_labels,
    pretraining_config,
)
from scanlearn.pretraining.registry import method_named
from scanlearn.tasks.registry import task_named

Out = Annotated[Path | None, typer.Option(help="Folder of the run.")]
Minutes = Annotated[
    float | None, typer.Option(min=0, help="Stop after this; 0 writes it untrained.")
]
File = Annotated[
    Path | None, typer.Option("--config", help="YAML with settings of the run.")
]


def register(application: typer.Typer) -> None:
    """Add the commands."""
    application.command()(pretrain)
    application.command()(finetune)


def pretrain(
    cohort: Annotated[
        list[Path],
        typer.Argument(
            parser=cohort_folder,
            metavar="COHORT",
            help="One or several cohorts: folders or URLs.",
        ),
    ],
    method: MethodName = "drasclr",
    clustering: Annotated[
        Literal["deepcluster", "swav"] | None,
        typer.Option(help="Of joint: clusters of each epoch, or while training."),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option("--from", help="Of joint: the run whose trunk is taken over."),
    ] = None,
    preset: MethodPreset = "",
    config: File = None,
    settings: Settings = [],  # noqa: B006 - typer wants a list
    out: Out = None,
    minutes: Minutes = None,
    as_json: AsJson = False,
) -> None:
    """Learn from scans without labels: starts a run and follows it.

    Example: scanlearn pretrain ~/cohorts/chest --method drasclr --preset quick
    """
    changes, chosen = _changes(config, settings, minutes), method_named(method)
    if clustering is not None:
        if "clustering" not in chosen.offer.config.model_fields:
            raise BadConfig(
                f"--clustering was given, but {method} has no clusters",
                expected="--method joint, or no --clustering",
                next_step="Leave one of them out",
            )
        changes = merge(changes, {"recipe": {"clustering": clustering}})
    checked = pretraining_config(
        cohort,
        method=chosen,
        preset_name=preset,
        start_from=start_from,
        changes=changes,
    )
    run = new_pretraining(chosen, checked, out)
    launch_and_follow(run, as_json=as_json)


def finetune(
    cohort: Annotated[
        Path,
        typer.Argument(
            parser=cohort_folder,
            metavar="COHORT",
            help="The cohort of the labelled scans.",
        ),
    ],
    task: TaskName,
    labels: Annotated[
        Path, typer.Option(help="A folder of masks, a table, or a run's inputs.")
    ],
    start_from: Annotated[
        Path | None, typer.Option("--from", help="The pre-training run.")
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Without pre-training.")
    ] = False,
    preset: TaskPreset = "",
    ignore_reference: IgnoreReference = False,
    config: File = None,
    settings: Settings = [],  # noqa: B006 - typer wants a list
    out: Out = None,
    minutes: Minutes = None,
    as_json: AsJson = False,
) -> None:
    """Learn a task from a few labels: starts a run and follows it.

    Example: scanlearn finetune ~/cohorts/chest --task segmentation --labels masks
    --from runs/drasclr
    """
    if (start_from is None) != from_scratch:
        raise BadConfig(
            "--from and --from-scratch were "
            + ("both given" if from_scratch else "both left out"),
            expected="one of them",
            next_step="Name a pre-training run with --from, or say --from-scratch",
        )
    chosen = task_named(task)
    changes = _changes(config, settings, minutes)
    if ignore_reference:
        changes = merge(changes, {"recipe": {"ignore_reference": True}})
    checked = finetuning_config(
        [cohort],
        task=chosen,
        # Without a preset a task that can looks at scans and labels first.
        preset_name=preset or chosen.offer.usual,
        start_from=start_from,
        changes=changes,
    )
    found = labels_for(chosen, checked, labels)
    print_classes(found)
    for remark in found.remarks:
        console.print(remark, markup=False, soft_wrap=True)
    checked, decided = planned_for_labels(chosen, checked, changes, found)
    for sentence in decided:
        console.print(sentence, markup=False, soft_wrap=True)
    launch_and_follow(new_finetuning(checked, found, out), as_json=as_json)


def _changes(
    config: Path | None, settings: list[str], minutes: float | None
) -> dict[str, Any]:
    """Lay the file, the -s settings and --minutes over each other."""
    changes = load_yaml(config) if config is not None else {}
    changes = merge(changes, parse_settings(settings))
    if minutes is not None:
        changes = merge(changes, {"engine": {"minutes": minutes}})
    return changes
