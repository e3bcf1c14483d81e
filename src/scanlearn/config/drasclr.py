"""Settings of DrasCLR pre-training (Yu et al., Medical Image Analysis 2023)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from scanlearn.config.base import Frozen
from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.recipe import RecipeConfig


class EncoderConfig(Frozen):
    """The location-conditioned encoder; defaults are the release's layer table."""

    architecture: Literal["release", "dense"] = Field(
        default="release",
        description="dense: without padding, for feature maps of whole scans",
    )
    width: int = Field(default=8, ge=1, description="Channels of the first layer")
    dim: int = Field(default=128, ge=1, description="Size of the representation")
    experts: int = Field(default=8, ge=1, description="Kernels mixed by location")
    basis: int = Field(
        default=4, ge=1, description="The same of the dense encoder, at every voxel"
    )
    knee_hu: float | None = Field(
        default=None,
        gt=-1024,
        lt=240,
        description="CT: what lies below takes three quarters of the network's range; "
        "-600 is above aerated lung",
    )
    location: bool = Field(
        default=True,
        description="False mixes the same kernels everywhere: the paper's ablation",
    )


class LandmarkConfig(Frozen):
    """Where in the body patches are taken; sizes in millimetres."""

    atlas: str = Field(
        default="default",
        description="default (drawn by code), central (the cohort's most typical "
        "scan) or the key of a scan",
    )
    coords: Literal["affine", "moments", "bbox", "field"] = Field(
        default="affine",
        description="How it is carried to a scan: by a registration of the masks, by "
        "their moments, by their boxes, or by the field of view alone",
    )
    region: Literal["auto", "lungs", "body"] = Field(
        default="auto", description="What is registered; auto: the lungs where masked"
    )
    patch_mm: float = Field(default=32.0, gt=0, description="Side of a patch")
    patch_voxels: int | None = Field(
        default=None,
        ge=16,
        multiple_of=16,
        description="The same in working voxels, in its place; of 16, the deepest "
        "layers see too little to be of use to a U-Net",
    )
    step_mm: float = Field(default=26.0, gt=0, description="Distance of landmarks")
    min_lung: float = Field(
        default=0.1, ge=0, lt=1, description="Least lung fraction of a landmark"
    )
    at_most: int | None = Field(
        default=None, ge=2, description="Keep an even choice of this many"
    )


class ViewConfig(Frozen):
    """Random changes between two views of one patch (the release's values)."""

    rotate_degrees: float = Field(default=10.0, ge=0)
    shift_mm: float = Field(default=12.0, ge=0)
    scale: float = Field(default=0.1, ge=0, lt=1)
    noise_probability: float = Field(default=0.25, ge=0, le=1)
    noise_hu: float = Field(default=50.0, ge=0, description="Upper bound of the s.d.")
    gamma_probability: float = Field(default=0.25, ge=0, le=1)
    gamma: tuple[float, float] = (0.5, 4.5)
    kernel_probability: float = Field(
        default=0.0, ge=0, le=1, description="CT: another reconstruction kernel"
    )
    kernel_gain: tuple[float, float] = Field(
        default=(-0.8, 1.0), description="Softest and sharpest; 0 changes nothing"
    )
    dose_probability: float = Field(
        default=0.0, ge=0, le=1, description="CT: the noise of a lower dose"
    )
    least_dose: float = Field(
        default=0.25, gt=0, le=1, description="Smallest share of the scan's own dose"
    )
    dose_noise_hu: float = Field(
        default=15.0, ge=0, description="Noise of the scans at their own dose, s.d."
    )
    context: bool = Field(
        default=True,
        description="Shifts bring in real tissue instead of a repeated border",
    )

    @property
    def scanner(self) -> bool:
        """Whether views differ in what the scanner did."""
        return bool(self.kernel_probability or self.dose_probability)

    @model_validator(mode="after")
    def _kernels_in_order(self) -> Self:
        if not -1 <= self.kernel_gain[0] <= self.kernel_gain[1]:
            raise ValueError("kernel_gain goes from softest (-1 or more) to sharpest")
        return self


class VoxelConfig(Frozen):
    """How voxels are grouped, whose groups a whole U-Net tells."""

    clusters: int = Field(default=32, ge=2)
    batch: int = Field(default=8, ge=1, description="Tiles of 32 voxels a step")


class DrasclrConfig(RecipeConfig):
    """DrasCLR: patches of one place are told apart between patients."""

    name: Literal["drasclr"] = "drasclr"
    spacing_mm: float | None = Field(
        default=None,
        gt=0,
        title="Voxel size (mm)",
        description="Working voxel size; the cohort's if not given",
    )
    encoder: EncoderConfig = EncoderConfig()
    head_dim: int = Field(default=128, ge=1, description="Size of the projection")
    landmarks: LandmarkConfig = LandmarkConfig()
    views: ViewConfig = ViewConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    batch: int = Field(
        default=32, ge=2, title="Batch (scans a step)", description="Patients a step"
    )
    queue: int = Field(
        default=4096, ge=0, description="Keys kept a landmark; sized to the cohort"
    )
    shared_queue: bool = Field(
        default=False,
        description="One queue for all landmarks instead of one each: an ablation",
    )
    queue_precision: Literal["fp32", "fp16", "int8"] = Field(
        default="fp16", description="How keys are stored"
    )
    in_batch: bool = Field(
        default=False, description="Other patients of the batch are negatives too"
    )
    temperature: float = Field(default=0.2, gt=0)
    momentum: float = Field(default=0.999, ge=0, le=1, description="Of the teacher")
    visit: int | None = Field(
        default=None, ge=1, description="Steps on one landmark; 1.5 K/B if not given"
    )
    neighbours: int = Field(
        default=2, ge=0, description="Nearest landmarks that find the key together"
    )
    beta: float = Field(default=1.0, ge=0, description="Weight of the neighbours' loss")
    beta_after: int = Field(
        default=0, ge=0, description="Steps before the neighbours' loss counts"
    )
    neighbour_similarity: Literal["sum", "mean"] = Field(
        default="sum", description="Of the neighbours' cosines; the release's is sum"
    )
    dense: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the voxels' clusters, which train a decoder, too; not "
        "in the paper",
    )
    voxels: VoxelConfig = VoxelConfig()
    clean_batches: int = Field(
        default=50,
        ge=1,
        description="Batches of 64 unchanged patches from which batch-norm statistics "
        "are estimated when the encoder is saved",
    )

    @property
    def shared_sizes(self) -> tuple[int, ...]:
        """Pairs of patients, for no one is told apart from nobody; tiles of voxels."""
        pairs = self.batch // 2
        return (pairs, self.voxels.batch) if self.dense else (pairs,)

    @model_validator(mode="after")
    def _some_negatives(self) -> Self:
        if not self.queue and not self.in_batch:
            raise ValueError("queue=0 leaves no negatives: set in_batch=true")
        if self.dense and self.encoder.architecture == "dense":
            raise ValueError("a dense encoder has no U-Net: set dense=0")
        return self
