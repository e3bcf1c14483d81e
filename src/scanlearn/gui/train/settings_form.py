"""Preset and main settings of a recipe, generated from the configuration's fields."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from magicgui.widgets import create_widget
from magicgui.widgets.bases import ValueWidget
from pydantic.fields import FieldInfo
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.config.offer import PLANNED, Offer
from scanlearn.gui.kit.widgets import combo, fill, fold, hint, labelled

#: Presets whose name is not a word.
_PRESETS = {"mr": "MR"}

#: What each preset is for.
_ABOUT = {
    PLANNED: "decided from your scans and labels, as said below",
    "quick": "minutes on a laptop: to try things out",
    "bright": "minutes on a laptop: to start from it what seeks or outlines bright "
    "things, such as nodules",
    "mr": "minutes on a laptop: MR of one structure, at the cohort's voxel size",
    "standard": "one GPU, some hours: the usual choice",
    "paper": "the published numbers: days on a large GPU",
}

#: What nought means in settings that may be left out.
_NOT_GIVEN = {
    "minutes": "no limit",
    "spacing_mm": "the cohort's",
    "passes": "as the steps are",
}

_STEPS = {"spacing_mm": 0.5}

_LARGEST = 10_000_000


class SettingsForm(QWidget):
    """What a user may change before starting; the rest is in the preset."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.presets = combo()
        self.about = hint()
        self._lines = QWidget()
        self.more = fold("Settings", self._lines)
        self._column = QVBoxLayout(self._lines)
        self._column.setContentsMargins(12, 0, 0, 4)
        self._column.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(labelled("Preset", self.presets))
        layout.addWidget(self.about)
        layout.addWidget(self.more)
        layout.addWidget(self._lines)
        self.fields: dict[str, ValueWidget[Any]] = {}
        self._recipe: Offer | None = None
        self._defaults: dict[str, Any] = {}
        self.presets.currentIndexChanged.connect(self._preset_chosen)

    def show_recipe(self, recipe: Offer) -> None:
        """Offer the presets and settings of a method or task."""
        self._recipe = recipe
        items: list[tuple[str, object]] = [
            (_PRESETS.get(n, n.capitalize()), n) for n in recipe.presets
        ]
        fill(self.presets, items, self.presets.currentData())
        self._build(recipe)
        self._preset_chosen()

    @property
    def preset(self) -> str:
        """The chosen preset."""
        return str(self.presets.currentData())

    def changes(self) -> dict[str, Any]:
        """Return what the user changed of the preset, as nested settings."""
        changes: dict[str, Any] = {}
        for key, field in self.fields.items():
            value = _from_widget(field)
            if value != self._defaults[key]:
                *sections, name = key.split(".")
                inner = changes
                for section in sections:
                    inner = inner.setdefault(section, {})
                inner[name] = value
        return changes

    def arguments(self) -> list[str]:
        """Return the preset and the changes as a command takes them."""
        found = ["--preset", self.preset]
        for key, field in self.fields.items():
            value = _from_widget(field)
            if value != self._defaults[key]:
                shown = "null" if value is None else value
                found += ["-s", f"{key}={shown}"]
        return found

    def value(self, key: str) -> Any:
        """Return the value of one setting; None where it is not offered."""
        return _from_widget(self.fields[key]) if key in self.fields else None

    def set_value(self, key: str, value: Any) -> None:
        """Change one setting."""
        _into_widget(self.fields[key], value)

    def suggest(self, settings: dict[str, Any]) -> None:
        """Show what a plan takes where the preset leaves it open.

        What the user changed stays.
        """
        for key, field in self.fields.items():
            *sections, name = key.split(".")
            there = settings
            for section in sections:
                there = there.get(section, {})
            if name in there and _from_widget(field) == self._defaults[key]:
                self._defaults[key] = there[name]
                with QSignalBlocker(self):  # it is no change of the user's
                    _into_widget(field, there[name])

    def _build(self, recipe: Offer) -> None:
        self.fields = {
            key: _widget(key, recipe.field(key))
            for key in recipe.settings
            if _is_shown(recipe.field(key))
        }
        while (old := self._column.takeAt(0)) is not None:
            gone = old.widget()
            assert gone is not None
            gone.deleteLater()
        for key, field in self.fields.items():
            name = key.split(".")[-1].replace("_", " ")
            text = recipe.field(key).title or name.capitalize()
            self._column.addWidget(labelled(text, field.native, width=140))
            field.changed.connect(self.changed.emit)

    def _preset_chosen(self) -> None:
        if self._recipe is None:
            return
        self.about.setText(_ABOUT.get(self.preset, ""))
        chosen = self._recipe.preset(self.preset, {})
        self.blockSignals(True)  # a half-filled form is told to nobody
        for key, field in self.fields.items():
            *sections, name = key.split(".")
            info, there = self._recipe.field(key), chosen
            for section in sections:
                there = there.get(section, {})
            self._defaults[key] = there.get(name, info.default)
            _into_widget(field, self._defaults[key])
        self.blockSignals(False)
        self.changed.emit()


def _kind(field: FieldInfo) -> tuple[Any, bool]:
    """Return what a setting is, and whether it may be left out."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    optional = type(None) in get_args(field.annotation)
    return kinds[0] if kinds and optional else field.annotation, optional


def _is_shown(field: FieldInfo) -> bool:
    """Whether there is a widget for it: lists and the like are left to files and -s."""
    kind, optional = _kind(field)
    if optional:
        return kind in (int, float, str)
    return kind in (int, float, str, bool) or get_origin(kind) is Literal


def _widget(key: str, field: FieldInfo) -> ValueWidget[Any]:
    name, (kind, optional) = key.split(".")[-1], _kind(field)
    options: dict[str, Any] = {"tooltip": field.description or ""}
    if kind in (int, float):
        options |= _limits(field, kind)
        options["min"] = min(0, options["min"]) if optional else options["min"]
    if name in _STEPS:
        options["step"] = _STEPS[name]
    made = create_widget(annotation=kind, name=name, options=options)
    assert isinstance(made, ValueWidget)
    if kind is bool:
        made.native.setText("")  # its name stands before it
    if optional:
        # Nought or no text stands for "not given".
        text = _NOT_GIVEN.get(name, "not given")
        tell = "setPlaceholderText" if kind is str else "setSpecialValueText"
        getattr(made.native, tell)(text)
    return made


def _limits(field: FieldInfo, kind: type) -> dict[str, Any]:
    low: float = 0
    high: float = _LARGEST
    for rule in field.metadata:
        if isinstance(rule, Ge):
            low = kind(rule.ge)
        elif isinstance(rule, Gt):
            low = kind(rule.gt)
        elif isinstance(rule, Le):
            high = kind(rule.le)
    return {"min": low, "max": high}


def _from_widget(field: ValueWidget[Any]) -> Any:
    """Return a widget's value; None where it says that none is given."""
    special, placeholder = (
        getattr(field.native, text, str)()
        for text in ("specialValueText", "placeholderText")
    )
    absent = (special and field.value == field.min) or (placeholder and not field.value)  # type: ignore[attr-defined]
    return None if absent else field.value


def _into_widget(field: ValueWidget[Any], value: Any) -> None:
    field.value = getattr(field, "min", "") if value is None else value
