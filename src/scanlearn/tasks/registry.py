"""Which tasks there are: for each, where every room keeps its part of it.

The manifest of fine-tuning, as ``napari.yaml`` is of the plugin. A new task is a
configuration (``config/run.py``, ``config/presets.py``) and an entry here; the terminal
and the docks then offer it. Parts are named, not imported, so that a dock can list the
tasks without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from scanlearn.config.base import Frozen
from scanlearn.config.classification import ClassificationConfig
from scanlearn.config.detection import DetectionConfig
from scanlearn.config.outcome import OutcomeConfig
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.config.texture import TextureConfig
from scanlearn.errors import BadConfig, BadRun


@dataclass(frozen=True)
class Task:
    """One task, and where its parts are, each as ``"module:name"``.

    Parameters
    ----------
    title, about
        How a dock offers it.
    short
        Its name where there is little room.
    config
        Its section of a configuration; its presets are in ``config/presets.py``.
    settings
        Which settings a dock offers, such as ``"engine.steps"``.
    labels
        ``collect(source, cohort, config)`` finds and checks the labels of a cohort's
        scans: a :class:`scanlearn.new_run.Labels`.
    recipe
        ``make(config, run)`` builds the :class:`scanlearn.engine.recipe.Recipe`, or
        the :class:`scanlearn.engine.fitting.Fit` of what is learned at once.
    predict
        ``predict(run, request, tell)`` predicts on scans and returns the summaries
        written; the request is a :class:`scanlearn.predict.each_scan.Request`.
    evaluate
        ``evaluate(run, labels, cohort, tell)`` scores a run against labels: a
        :class:`scanlearn.tasks.shared.evaluation.Evaluation`.
    worth
        What a start from a pre-training gave where it was measured, said where a start
        is chosen.
    doubt
        ``doubt(run, cohort, keys, tell)`` says of each scan how little sure the run
        is, from 0 to 1, and leaves out those it cannot look at; empty where a task
        cannot say.
    least
        How many labelled patients a training needs.
    views
        Whether ``predict`` can look at a scan in several ways and average.
    covariates
        Whether ``predict`` can be told clinical numbers.
    panel
        ``Panel(viewer)``: what the Fine-tune dock shows to gather labels, a
        :class:`scanlearn.gui.tasks.shared.label_panel.LabelPanel`.
    overlay
        ``layers(prediction, origin, shown)``: a prediction as layers over its scan.
    result
        ``Result()``: what the Predict dock tells beside the layers, a
        :class:`scanlearn.gui.tasks.shared.result_panel.ResultPanel`.
    """

    title: str
    about: str
    short: str
    config: type[Frozen]
    settings: tuple[str, ...]
    labels: str
    recipe: str
    predict: str
    evaluate: str
    panel: str
    overlay: str
    result: str
    worth: str
    doubt: str = ""
    least: int = 1
    views: bool = False
    covariates: bool = False

    def part(self, name: str) -> Any:
        """Import a part, such as ``part("recipe")``."""
        return resolve_name(getattr(self, name))


_ASK = "Compare, in Runs, tells for your scans."

#: Name of the recipe in the configuration, and of ``--task`` -> the task.
TASKS: dict[str, Task] = {
    "segmentation": Task(
        title="Segmentation",
        about="outline organs or lesions from a few painted slices",
        short="seg.",
        config=SegmentationConfig,
        settings=("engine.steps", "engine.minutes", "recipe.batch", "engine.seed"),
        labels="scanlearn.tasks.segmentation.labels:collect_training_maps",
        recipe="scanlearn.tasks.segmentation.learn:segmentation_recipe",
        predict="scanlearn.tasks.segmentation.predict:predict_segmentations",
        evaluate="scanlearn.tasks.segmentation.scores:evaluate_segmentation",
        panel="scanlearn.gui.tasks.segmentation.panel:PaintedPanel",
        overlay="scanlearn.gui.tasks.shared.label_layers:label_layers",
        result="scanlearn.gui.tasks.segmentation.result:ClassResult",
        doubt="scanlearn.tasks.segmentation.predict:doubt_of_segmentations",
        worth="Measured on MR of the hippocampus, 2 to 20 scans labelled: pre-training "
        f"starts faster and ends the same. {_ASK}",
        views=True,
    ),
    "detection": Task(
        title="Detection",
        about="find nodules from points with a diameter, or abnormal regions of "
        "radiographs from boxes; scans without are welcome",
        short="det.",
        config=DetectionConfig,
        settings=(
            *("engine.steps", "engine.minutes", "recipe.batch"),
            *("recipe.within_lungs", "engine.seed"),
        ),
        labels="scanlearn.tasks.detection.labels:collect_findings",
        recipe="scanlearn.tasks.detection.learn:detection_recipe",
        predict="scanlearn.tasks.detection.predict:predict_detections",
        evaluate="scanlearn.tasks.detection.scores:evaluate_detection",
        panel="scanlearn.gui.tasks.detection.panel:FindingPanel",
        overlay="scanlearn.gui.tasks.detection.overlay:finding_layers",
        result="scanlearn.gui.tasks.detection.result:FindingResult",
        worth="Measured on chest phantoms, 5 and 20 scans labelled: after a quick "
        f"pre-training fewer nodules were found than from scratch. {_ASK}",
    ),
    "texture": Task(
        title="Texture (emphysema subtypes)",
        about="a class at every place of the lungs, from points, regions or patches",
        short="texture",
        config=TextureConfig,
        settings=("recipe.method", "recipe.stride_mm", "recipe.patch_mm"),
        labels="scanlearn.tasks.texture.labels:collect_places",
        recipe="scanlearn.tasks.texture.learn_full:texture_recipe",
        predict="scanlearn.tasks.texture.predict:predict_textures",
        evaluate="scanlearn.tasks.texture.scores:evaluate_texture",
        panel="scanlearn.gui.tasks.texture.panel:PlacesPanel",
        overlay="scanlearn.gui.tasks.texture.result:texture_layers",
        result="scanlearn.gui.tasks.texture.result:TextureResult",
        doubt="scanlearn.tasks.texture.doubt:doubt_of_textures",
        worth="Measured on emphysema patches: 5 labels a class on a joint pre-training "
        f"did what 50 did from scratch, by densities and texture. {_ASK}",
    ),
    "classification": Task(
        title="Classification of radiographs",
        about="what single images show, normal or abnormal, or several findings",
        short="class.",
        config=ClassificationConfig,
        settings=(*("recipe.method", "engine.steps", "engine.minutes", "engine.seed"),),
        labels="scanlearn.tasks.classification.labels:collect_image_labels",
        recipe="scanlearn.tasks.classification.learn_full:classification_recipe",
        predict="scanlearn.tasks.classification.predict:predict_classifications",
        evaluate="scanlearn.tasks.classification.scores:evaluate_classification",
        panel="scanlearn.gui.tasks.classification.panel:ImageLabelsPanel",
        overlay="scanlearn.gui.tasks.classification.overlay:activation_layers",
        result="scanlearn.gui.tasks.classification.result:ClassificationResult",
        doubt="scanlearn.tasks.classification.predict:doubt_of_classifications",
        worth="Measured on small chest radiographs, 1 to 100 % of the labels: a small "
        f"pre-training was no better than a new network. {_ASK}",
    ),
    "outcome": Task(
        title="Outcome of patients",
        about="a number, a class or survival of each patient, from a table",
        short="outcome",
        config=OutcomeConfig,
        settings=("recipe.folds", "engine.seed"),
        labels="scanlearn.tasks.outcome.labels:collect_outcomes",
        recipe="scanlearn.tasks.outcome.learn:OutcomeFit",
        predict="scanlearn.tasks.outcome.predict:predict_outcomes",
        evaluate="scanlearn.tasks.outcome.scores:evaluate_outcome",
        panel="scanlearn.gui.tasks.outcome.panel:OutcomePanel",
        overlay="scanlearn.gui.tasks.outcome.result:no_layers",
        result="scanlearn.gui.tasks.outcome.result:OutcomeResult",
        worth="Measured on chest phantoms: a DrasCLR pre-training told how severe "
        "emphysema is better than lung densities did, lung function and survival not. "
        f"{_ASK}",
        least=4,
        covariates=True,
    ),
}


def known_task(name: str) -> str:
    """Return the name of a task, or say which there are."""
    if name not in TASKS:
        raise BadConfig(
            f"There is no task '{name}'",
            expected=", ".join(TASKS),
            next_step="Choose one of these",
        )
    return name


def task_of(config: RunConfig) -> Task:
    """Return the task of a fine-tuning.

    Raises
    ------
    BadRun
        If it is a pre-training.
    """
    name = config.recipe.name
    if name not in TASKS:
        raise BadRun(
            f"This is a pre-training ({name}), which learned no task",
            expected="a run made by 'scanlearn finetune'",
            next_step="Fine-tune from it first",
        )
    return TASKS[name]
