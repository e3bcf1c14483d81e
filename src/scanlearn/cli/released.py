"""The command that brings in released weights: import-weights."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from scanlearn.cli.options import AsJson
from scanlearn.cli.output import console, print_json, print_text


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command("import-weights")(import_weights)


def import_weights(
    method: Annotated[
        Literal["drasclr", "torchvision", "joint"],
        typer.Argument(
            help="Whose checkpoint it is; joint: of the method's release, or LVM-Med's "
            "ResNet-50."
        ),
    ],
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A file of torch.save.")
    ],
    out: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the new run.")],
    as_json: AsJson = False,
) -> None:
    """Make a run of released weights, to embed scans with or to train on from.

    Says what of the checkpoint matched and what was left out.

    Example: scanlearn import-weights drasclr checkpoint_0020.pth.tar runs/released
    """
    # Imported here, because torch takes seconds and not every command needs it.
    from scanlearn.pretraining.released.drasclr import import_drasclr
    from scanlearn.pretraining.released.imported_run import import_run
    from scanlearn.pretraining.released.trunks import import_trunk

    if method == "drasclr":
        imported = import_drasclr(checkpoint)
    else:
        imported = import_trunk(checkpoint, method)
    run = import_run(imported, out)
    if as_json:
        print_json({"run": str(run.path), "report": list(imported.report)})
    else:
        for line in imported.report:
            console.print(line, markup=False, soft_wrap=True)
        print_text(str(run.path))
