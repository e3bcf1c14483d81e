"""The script with which a Slurm cluster trains a run: shown, and copied."""

from __future__ import annotations

from qtpy.QtGui import QFontDatabase, QGuiApplication
from qtpy.QtWidgets import (
    QDialog,
    QLabel,
    QPlainTextEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from scanlearn.gui.kit.widgets import button, hint, row
from scanlearn.runs import RunFolder
from scanlearn.runs.slurm import batch_script

_ADVICE = (
    "Save it as train.sh and start it with 'sbatch train.sh', on a cluster that sees "
    "the run and its cohorts under the same paths. Runs follows it from here."
)


class BatchScript(QDialog):
    """A run's script for so many cards and hours."""

    def __init__(self, run: RunFolder, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = run
        self.setWindowTitle(f"Slurm script of {run.name}")
        self.cards, self.hours = QSpinBox(), QSpinBox()
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        fixed = QFontDatabase.SystemFont.FixedFont
        self.text.setFont(QFontDatabase.systemFont(fixed))
        self.copy_button = button("Copy", self.copy, "Puts it on the clipboard")
        for box, most, value in ((self.cards, 64, 1), (self.hours, 720, 24)):
            box.setRange(1, most)
            box.setValue(value)
            box.valueChanged.connect(self.show_script)
        layout = QVBoxLayout(self)
        layout.addWidget(hint(_ADVICE))
        layout.addWidget(row(QLabel("Cards"), self.cards, QLabel("Hours"), self.hours))
        layout.addWidget(self.text, stretch=1)
        layout.addWidget(row(self.copy_button))
        self.resize(640, 520)
        self.show_script()

    def show_script(self) -> None:
        """Show the script for what is chosen."""
        cards, hours = self.cards.value(), self.hours.value()
        self.text.setPlainText(batch_script(self.run, cards=cards, hours=hours))
        self.copy_button.setText("Copy")

    def copy(self) -> None:
        """Put the script on the clipboard."""
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(self.text.toPlainText())
        self.copy_button.setText("Copied")
