"""Settings of outcomes: one value, class or survival time of each patient."""

from typing import Literal

from pydantic import Field

from scanlearn.config.class_name import ClassName
from scanlearn.config.recipe import RecipeConfig

OutcomeKind = Literal["regression", "ordinal", "nominal", "survival"]

#: Of fewer, none can be held out and the rest still be told apart.
FEWEST_PATIENTS = 4


class OutcomeConfig(RecipeConfig):
    """A linear model of patients' vectors, beside what needs no encoder."""

    name: Literal["outcome"] = "outcome"
    target: ClassName = Field(
        default="",
        description="Column to predict; time and event, or the only other one, if not "
        "given",
    )
    kind: Literal["auto", "regression", "ordinal", "nominal", "survival"] = Field(
        default="auto",
        description="auto: survival of time and event; nominal of text; ordinal of up "
        "to 6 whole numbers; else regression",
    )
    covariates: tuple[ClassName, ...] = Field(
        default=(), description="Columns of clinical numbers, such as age"
    )
    folds: int = Field(
        default=5, ge=2, description="Of the cross-validation by patient"
    )
    components: int = Field(
        default=5, ge=1, description="Principal components of a survival model, at most"
    )
    penalty: float = Field(
        default=0.1, gt=0, description="Of classes inverse, of survival direct strength"
    )
