"""The classes of label maps, printed before a training starts."""

from rich.table import Table

from scanlearn.cli.output import console
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.task import Labels


def print_classes(labels: Labels) -> None:
    """Print class, files and voxels of label maps; nothing for other labels."""
    if not isinstance(labels, LabelSet):
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for heading in ("value", "files", "voxels"):
        table.add_column(heading, justify="right")
    total = len(labels.items)
    for one in labels.counts():
        name = one.name.replace("[", r"\[")
        table.add_row(
            name, str(one.value), f"{one.files} of {total}", f"{one.voxels:,}"
        )
    console.print(table)
