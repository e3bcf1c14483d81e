"""Mean density: a column of a table, told from the mean intensity of the scans."""

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.offer import Offer
from scanlearn.config.outcome import OutcomeConfig
from scanlearn.config.recipe import RecipeConfig
from scanlearn.engine.fitting import Fit
from scanlearn.files import write_text
from scanlearn.prediction.each_scan import each_scan
from scanlearn.prediction.result_files import kind_of_source, write_summary
from scanlearn.tasks.outcome.labels import OutcomeSet, collect_outcomes
from scanlearn.tasks.shared.evaluation import Evaluation, remark_on_few, summary_of
from scanlearn.tasks.task import Task


class MeanDensityConfig(RecipeConfig):
    """Settings; ``name`` is what commands and files call the task."""

    name: str = "mean-density"
    target: str = Field("severity", title="Column", description="What is predicted")


class Line(BaseModel):
    """What is learned: the slope of the line, and its value at 0."""

    line: list[float]

    def number_of(self, scan, *, progress=None):
        return float(np.polyval(self.line, scan.voxels.mean()))


class LineFit(Fit):
    """Looks at the scans of each patient, then fits at once."""

    parts = 0

    def __init__(self, config, run):
        self.cohort = Cohort(config.cohorts[0])
        self.patients = OutcomeSet.load(run.inputs).patients
        self.parts, self.means = len(self.patients), []

    def work(self):
        for patient in self.patients:
            scans = map(self.cohort.scan, patient.scans)
            self.means.append(np.mean([scan.voxels.mean() for scan in scans]))
            yield None

    def finish(self):
        numbers = [patient.value for patient in self.patients]
        self.card = Line(line=np.polyfit(self.means, numbers, deg=1).tolist())
        return {}

    def export(self, folder):
        write_text(folder / "model.json", self.card.model_dump_json())


class MeanDensityTask(Task):
    """What the commands and the docks ask for."""

    offer = Offer(
        title="Mean density",
        about="a number of each patient, from the mean intensity of the scans",
        short="density",
        config=MeanDensityConfig,
        presets={"quick": {}},
        settings=("recipe.target",),
    )

    def labels(self, source, cohort, config):
        asked = OutcomeConfig(target=config.recipe.target, kind="regression")
        return collect_outcomes(source, cohort, asked)

    def learn(self, config, run):
        return LineFit(config, run)

    def card(self, run):
        from scanlearn.tasks.shared.model_file import read_model_card  # brings torch

        return read_model_card(run, TypeAdapter(Line), task="mean-density")

    def predict(self, run, request, tell):
        def save(number, scan, entry, to):
            source, facts = kind_of_source(entry), {"predicted": number}
            about = {"source": source, "grid": scan.grid, "tables": [], "facts": facts}
            return write_summary(to, task="mean-density", **about)

        return each_scan(run, request, self.card(run.path).number_of, save, tell)

    def score(self, run, labels, cohort, tell, *, ignore_reference=False):
        line, misses = self.card(run.path), {}
        for patient in self.labels(labels, cohort, run.config()).patients:
            told = [line.number_of(cohort.scan(key)) for key in patient.scans]
            misses[patient.patient] = [abs(np.mean(told) - patient.value)]
        mean, remarks = {"MAE": summary_of(misses)}, remark_on_few(misses)
        return Evaluation("mean-density", run.name, mean, {"all": mean}, [], remarks)
