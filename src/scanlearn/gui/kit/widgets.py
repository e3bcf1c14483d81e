"""Small pieces all docks are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from napari.settings import get_settings
from napari.utils.theme import Theme, get_theme
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import (
    QColor,
    QHelpEvent,
    QPaintEvent,
    QStandardItem,
    QStandardItemModel,
)
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from scanlearn.scans.formats import TABLE_ENDINGS, patterns

#: Narrowest dock; at this width nothing is cut and nothing scrolls sideways.
WIDTH = 360

#: Width of the words before controls.
LABEL_WIDTH = 72

#: What dialogs that ask for a scan, or for a table, offer.
SCAN_FILES = f"Scans ({' '.join(patterns(lambda known: known.in_dialogs))});;All (*)"
TABLE_FILES = f"Tables ({' '.join(f'*{ending}' for ending in TABLE_ENDINGS)});;All (*)"

#: Seen on dark and light themes alike; a theme may be changed while docks are open.
BORDER = "rgba(128, 128, 128, 110)"


def theme() -> Theme:
    """Return napari's current theme."""
    return get_theme(get_settings().appearance.theme)


def page(dock: QWidget) -> QVBoxLayout:
    """Make a dock one column that scrolls up and down only; return its layout."""
    outer = QVBoxLayout(dock)
    outer.setContentsMargins(0, 0, 0, 0)
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    body = QWidget()
    body.setMaximumWidth(640)
    layout = QVBoxLayout(body)
    layout.setContentsMargins(8, 8, 8, 8)
    layout.setSpacing(6)
    scroll.setWidget(body)
    outer.addWidget(scroll)
    dock.setMinimumWidth(WIDTH)
    return layout


def row(*widgets: QWidget, stretch: int | None = None) -> QWidget:
    """Put widgets beside each other; ``stretch`` is the index of the one that grows."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    for index, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if index == stretch else 0)
    return box


def labelled(text: str, widget: QWidget, *, width: int = LABEL_WIDTH) -> QWidget:
    """Put a word before a control; words of a dock line up."""
    label = QElidingLabel(text)
    label.setFixedWidth(width)
    label.setBuddy(widget)
    widget.setAccessibleName(text)
    return row(label, widget, stretch=1)


def heading(text: str) -> QLabel:
    """Return the title of a section."""
    label = QLabel(text)
    label.setStyleSheet("font-weight: 600; margin-top: 4px")
    return label


def hint(text: str = "") -> QLabel:
    """Return a wrapped line of explanation."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def button(text: str, clicked: Callable[[], object], tip: str = "") -> QPushButton:
    """Return an ordinary button."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setProperty("tip", tip)
    made.clicked.connect(lambda _checked: clicked())
    return made


def primary(text: str, clicked: Callable[[], object], tip: str = "") -> QPushButton:
    """Return the one button of a dock that goes on along the path."""
    made = button(text, clicked, tip)
    background = QColor(theme().current.as_hex())
    text = "black" if background.lightnessF() > 0.7 else "white"
    made.setMinimumHeight(32)
    made.setStyleSheet(
        f"QPushButton:enabled {{ background: {background.name()};"
        f" color: {text}; font-weight: 600 }}"
    )
    return made


def fold(title: str, body: QWidget) -> QPushButton:
    """Return a line that shows and hides what belongs to it; hidden at first."""
    head = QPushButton()
    head.setCheckable(True)
    head.setFlat(True)
    head.setStyleSheet("text-align: left; background: transparent")

    def show(is_open: bool) -> None:
        body.setVisible(is_open)
        head.setText(f"{'▾' if is_open else '▸'} {title}")

    head.toggled.connect(show)
    show(False)
    return head


def gate(control: QPushButton, missing: str, told: QLabel | None = None) -> None:
    """Enable a button, or say in its tooltip, and in a line, what is missing."""
    control.setEnabled(not missing)
    control.setToolTip(missing or str(control.property("tip") or ""))
    if told is not None:
        told.setText(missing)
        told.setVisible(bool(missing))


class _ElidingComboBox(QComboBox):
    """Cuts the middle out of what does not fit; Qt's own cuts the end off."""

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw as Qt does, with the shortened text."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        assert style is not None
        part = QStyle.SubControl.SC_ComboBoxEditField
        kind = QStyle.ComplexControl.CC_ComboBox
        room = style.subControlRect(kind, option, part, self).width() - 4
        middle = Qt.TextElideMode.ElideMiddle
        text = self.fontMetrics().elidedText(option.currentText, middle, room)
        option.currentText = text
        painter = QStylePainter(self)
        painter.drawComplexControl(kind, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def event(self, event: QEvent | None) -> bool:
        """Show the whole text in the tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            whole = self.itemData(self.currentIndex(), Qt.ItemDataRole.ToolTipRole)
            parts = (self.toolTip(), whole or self.currentText())
            QToolTip.showText(event.globalPos(), "\n".join(filter(None, parts)), self)
            return True
        return super().event(event)


def combo(tip: str = "") -> QComboBox:
    """Return a drop-down list that never makes its dock wider."""
    box = _ElidingComboBox()
    box.setToolTip(tip)
    box.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    box.setMinimumContentsLength(8)
    items = box.view()
    assert items is not None
    items.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    return box


def fill(box: QComboBox, items: list[tuple[str, object]], chosen: object) -> None:
    """Set the (text, data) items of a list and choose one; emits no signal."""
    box.blockSignals(True)
    box.clear()
    for text, data in items:
        box.addItem(shortened(text), data)
        box.setItemData(box.count() - 1, text, Qt.ItemDataRole.ToolTipRole)
    index = next((i for i, (_, data) in enumerate(items) if data == chosen), 0)
    box.setCurrentIndex(index if items else -1)
    box.blockSignals(False)


def fill_groups(
    box: QComboBox, groups: Mapping[str, list[tuple[str, object]]], chosen: object
) -> None:
    """Set the items of a list under headings that cannot be chosen; emits no signal.

    Without a choice among them the first item is chosen; a group without a name has no
    heading.
    """
    model, places = QStandardItemModel(box), dict[object, int]()
    for name, group in groups.items():
        if name:
            model.appendRow(_heading_item(name))
        for text, data in group:
            item = QStandardItem(text)
            item.setData(data, Qt.ItemDataRole.UserRole)
            item.setToolTip(text)
            places[data] = model.rowCount()
            model.appendRow(item)
    box.blockSignals(True)
    box.setModel(model)
    box.setCurrentIndex(places.get(chosen, next(iter(places.values()), -1)))
    box.blockSignals(False)


def _heading_item(name: str) -> QStandardItem:
    item = QStandardItem(name)
    item.setFlags(Qt.ItemFlag.NoItemFlags)
    font = item.font()
    font.setBold(True)
    item.setFont(font)
    return item


def shortened(text: str, at_most: int = 40) -> str:
    """Cut the middle out of a long name."""
    if len(text) <= at_most:
        return text
    head = (at_most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (at_most - 1 - head) :]}"


def rule() -> QFrame:
    """Return a thin horizontal line."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setStyleSheet(f"color: {BORDER}")
    return line


class Pages(QWidget):
    """One of several widgets at a time, as high as that one: a stack is not."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._shown: QWidget | None = None

    def turn_to(self, page: QWidget) -> None:
        """Show a widget in place of the one before."""
        if self._column.indexOf(page) < 0:
            self._column.addWidget(page)
        if self._shown is not None:
            self._shown.hide()
        self._shown = page
        page.show()
