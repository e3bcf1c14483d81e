"""How scans become a cohort."""

from typing import Annotated, Literal

from pydantic import Field

from scanlearn.config.base import Frozen

Positive = Annotated[float, Field(gt=0)]


class PrepareConfig(Frozen):
    """Settings of ``scanlearn prepare``; a cohort keeps the ones it was made with."""

    spacing_mm: Positive | tuple[Positive, Positive, Positive] | None = Field(
        default=None,
        description="Voxel size: one number, or head-foot, front-back, right-left. "
        "By default 1 mm for CT and the median of the cohort for MR",
    )
    radiograph_size: int = Field(
        default=512, ge=8, description="Pixels along the long side of a radiograph"
    )
    crop: Literal["none", "body", "lungs"] = Field(
        default="none", description="Keep only the box around the body or the lungs"
    )
    crop_margin_mm: float = Field(
        default=20.0, ge=0, description="Kept around the box of crop"
    )
    on_uneven: Literal["refuse", "resample"] = Field(
        default="refuse",
        description="What to do with a scan whose slices are unevenly spaced",
    )
    patient_from: str = Field(
        default="",
        description="Where the patients are told: a column of a table, or a pattern of "
        "file names with {patient}; by default the files state them",
    )
    store: Literal["npy", "blosc2"] = Field(
        default="npy",
        description="npy reads fastest; blosc2 halves the size on disk",
    )
    workers: int | None = Field(
        default=None,
        ge=0,
        description="Processes; 0 prepares in this one, by default cores and memory "
        "decide",
    )

    def same_voxels(self, other: "PrepareConfig") -> bool:
        """Whether both settings make the same voxels of a scan."""
        ignored = {"workers", "on_uneven", "patient_from"}
        return self.model_dump(exclude=ignored) == other.model_dump(exclude=ignored)
