"""Takes the pictures of the docs: walks the tutorial in a real napari, by its buttons.

    python scripts/screenshots.py docs/images [--theme light] [--size 1920x1200]

It needs a display that large, such as xvfb-run gives. Scans, cohort and runs lie in a
home of their own, which is thrown away; one that is named with ``--home`` is kept, and
what is in it already is not prepared or fine-tuned again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from napari_window import Window

#: Scans that are painted, slices painted on each, and the scan that is predicted on.
PAINTED_SCANS, PAINTED_SLICES, LAST = 3, 5, 7

#: Steps of a pre-training that make a curve worth a picture, and its first check.
STEPS = 220

CLASSES = {1: "right lung", 2: "left lung"}


class Walk(Window):
    """Goes the way of the tutorial."""

    def go(self) -> None:
        """Take all pictures, in the order of the tutorial."""
        self.try_it()
        self.open_the_sample()
        self.prepare()
        self.pretrain()
        self.paint_and_finetune()
        self.predict_and_correct()
        self.look_at_runs()

    def try_it(self) -> None:
        """See an artificial scan and its nodules in four views."""
        dock = self.bench.scans
        self.click(dock.try_it.button)
        self.until(lambda: len(self.viewer.layers) == 1, "the artificial scan")
        for kind in ("lungs", "nodules"):
            self.click(dock.try_it.overlays[kind])
        self.click(dock._bar.layout_button)
        self.picture("four_views")
        self.click(dock._bar.layout_button)
        self.viewer.layers.clear()

    def open_the_sample(self) -> None:
        """List the sample scans, and show the first."""
        dock = self.bench.scans
        self.click(dock.opener.sample_button)
        self.until(lambda: dock.list.count() > LAST, "the sample scans")
        self.until(lambda: not dock.search.busy, "the end of the search")
        self.show_scan(0)
        self.picture("scans")

    def prepare(self) -> None:
        """Make a cohort of them, where there is none yet."""
        form = self.bench.scans.form
        form.spacing.setValue(2.0)
        if not (form.cohort / "cohort.yaml").is_file():
            self.click(form.button)
            self.until(lambda: not form.job.busy, "the cohort")
        self.bench.scans.state.choose_cohort(form.cohort)

    def pretrain(self) -> None:
        """Watch a pre-training until its curve tells something, then keep it."""
        dock = self.turn_to("Pre-train")
        self.click(dock.start_button)
        self.until(lambda: dock.slot.card is not None, "the card of the training")
        card = dock.slot.card
        self.until(
            lambda: card.story.step >= STEPS and card.story.health is not None,
            f"step {STEPS} and a first check",
        )
        self.picture("pretrain", at=card)
        self.click(card.stop_button)
        self.until(lambda: not dock.slot.running, "the end of the training")

    def paint_and_finetune(self) -> None:
        """Paint slices of some scans and train on them, where there is no model yet."""
        models = self.bench.predict.models
        if models.path is None:
            dock = self.turn_to("Fine-tune")
            self.paint()
            self.until(lambda: dock.plan.decisions.isVisible(), "the plan in words")
            self.picture("finetune")
            self.grab("plan", dock.plan)
            self.click(dock.start_button)
            self.until(lambda: dock.slot.card is not None, "the card of the training")
            self.until(lambda: not dock.slot.running, "the fine-tuning")
        self.until(lambda: models.path is not None, "the model")
        self.viewer.layers.clear()

    def paint(self) -> None:
        """Draw what is true of a few slices, as a steady hand would."""
        panel = self.bench.finetune.panel
        panel.classes.add()
        for value, name in CLASSES.items():
            panel.classes.names[value].setText(name)
        for number in range(PAINTED_SCANS):
            self.viewer.layers.clear()
            self.show_scan(number)
            self.click(panel.new_button)
            layer = self.viewer.layers[-1]
            truth = true_lungs(layer)
            inside = np.flatnonzero(truth.any(axis=(1, 2)))
            picks = np.linspace(inside[0], inside[-1], PAINTED_SLICES + 2)[1:-1]
            for index in picks.astype(int):
                self.go_to(layer, index)
                drawn = np.nonzero(truth[index])
                places = (np.full_like(drawn[0], index), *drawn)
                with layer.block_history():
                    layer.data_setitem(places, truth[index][drawn])
            self.go_to(layer, int(picks[PAINTED_SLICES // 2]))
            listed = number + 1
            self.until(lambda n=listed: panel.labels.scans() == n, "the labels")

    def predict_and_correct(self) -> None:
        """Predict on a scan that nobody painted, save what was found, correct it."""
        self.show_scan(LAST)
        dock = self.turn_to("Predict")
        self.click(dock.predict_button)
        self.until(lambda: dock.prediction is not None, "the prediction")
        self.click(dock.saving.save_button, folder=Path.home() / "results")
        self.until(dock.saving.saved.isVisible, "what was saved")
        labels = self.viewer.layers.selection.active
        self.go_to(labels, fullest_slice(labels))
        self.picture("predict")
        self.grab("save", dock.saving)
        result = dock._panel("segmentation")
        self.click(result.correct_button)
        panel = self.bench.finetune.panel
        self.until(panel.truth.isVisible, "the layer to correct")
        self.click(panel.truth.tick)
        self.picture("correct", at=panel.tools)
        self.viewer.layers.remove(self.viewer.layers.selection.active)

    def look_at_runs(self) -> None:
        """Look at the fine-tuned run, and at what the pre-training finds alike."""
        dock = self.turn_to("Runs")
        runs = {run.kind: run.path for run in reversed(dock.table.rows)}
        dock.table.choose(runs["finetune"])
        self.picture("runs")
        self.viewer.layers.clear()
        self.show_scan(LAST - 1)  # one without labels, which would come with it
        dock.table.choose(runs["pretrain"])
        self.click(dock.likes.read_button)
        self.until(lambda: len(dock.likes.encoded) == 1, "the features")
        self.click(dock.likes.click_button)
        features = dock.likes.encoded[0].features
        cell = features.cells[len(features.cells) // 2].astype(float)
        place = features.grid.to_patient(cell)[::-1]
        self.viewer.dims.set_point(0, place[0])
        dock.likes.points.add(dock.likes.points.world_to_data(place))
        self.picture("alike", at=dock.likes)

    def show_scan(self, number: int) -> None:
        """Add one of the listed scans to the viewer."""
        shown = self.bench.tabs.currentWidget()
        dock, before = self.turn_to("Scans"), len(self.viewer.layers)
        dock.list.select_rows([number])
        self.click(dock.add_button)
        self.until(lambda: len(self.viewer.layers) > before, "the scan")
        self.until(lambda: not dock.reader.busy, "all slices of the scan")
        self.bench.tabs.setCurrentWidget(shown)


def true_lungs(layer: Any) -> Any:
    """Return the lungs that were put into the sample scan of a layer, on its grid."""
    from scanlearn.gui.kit.settings import sample_folder
    from scanlearn.gui.tasks.shared.label_layers import onto
    from scanlearn.gui.viewer.layers import grid_of, origin_of
    from scanlearn.scans.formats import stem_of
    from scanlearn.scans.labels.read_labels import read_label_map

    name = f"{stem_of(origin_of(layer).source)}_labels.nii.gz"
    truth, grid = read_label_map(sample_folder() / "labels" / "lungs" / name)
    return onto(truth, grid, grid_of(layer), order=0)


def fullest_slice(layer: Any) -> int:
    """Return the axial slice of a label layer with most of what was found."""
    return int(np.count_nonzero(layer.data, axis=(1, 2)).argmax())


def main() -> None:
    """Take all pictures."""
    asked = _parser().parse_args()
    out = asked.out.absolute()
    with ExitStack() as stack:
        home = asked.home
        if home is None:
            made = tempfile.TemporaryDirectory(prefix="scanlearn-screenshots-")
            home = Path(stack.enter_context(made))
        _move_into(home.absolute())
        import napari
        from napari.settings import get_settings

        get_settings().appearance.theme = asked.theme
        viewer = napari.Viewer(show=True)
        stack.callback(viewer.close)
        viewer.window.resize(*asked.size)
        # As the plugin menu does.
        _, bench = viewer.window.add_plugin_dock_widget("napari-scanlearn", "Workbench")
        Walk(viewer, bench, out).go()


def _move_into(home: Path) -> None:
    """Let napari and the docks keep all that they keep in a folder."""
    # Docks open with what was open last: the walk begins where a newcomer does.
    (home / "settings" / "session.json").unlink(missing_ok=True)
    os.environ["HOME"] = str(home)
    os.environ["SCANLEARN_HOME"] = str(home / "settings")
    os.environ["NAPARI_CONFIG"] = str(home / "napari.yaml")
    for name in ("SCANLEARN_RUNS", "SCANLEARN_COHORTS"):
        os.environ.pop(name, None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Take the pictures of the docs.")
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--size", type=_size, default="1280x800")
    parser.add_argument("--home", type=Path, help="folder to keep, and to go on in")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


if __name__ == "__main__":
    main()
