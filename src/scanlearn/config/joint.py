"""Settings of joint 2D/3D pre-training (Nguyen et al., AAAI 2023)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from scanlearn.config.base import Frozen
from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.recipe import RecipeConfig


class TrunkConfig(Frozen):
    """The network that sees one image or slice."""

    architecture: Literal["resnet50", "resnet18", "small"] = Field(
        default="resnet50", description="small: one block a stage, for CPUs"
    )
    width: int = Field(default=64, ge=1, description="Channels of the first stage")
    knee_hu: float | None = Field(
        default=None,
        gt=-1024,
        lt=240,
        description="Of CT alone: darker tissue is stretched, brighter is squeezed",
    )


class TransformerConfig(Frozen):
    """The network that assembles the slices of a volume."""

    dim: int = Field(default=640, ge=2, description="Size of a slice's token")
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=8, ge=1)
    head_width: int = Field(default=64, ge=1)
    hidden: int = Field(default=720, ge=1, description="Width inside a layer")
    stride: int = Field(default=4, ge=1, description="Slices for a sampled position")
    kernel: int = Field(default=6, ge=1, description="Slices that move it")
    reach: float = Field(default=2.0, gt=0, description="How far, in strides")
    dropout: float = Field(default=0.1, ge=0, lt=1)
    position: bool = Field(default=True, description="Tell a slice where it lies")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.dim % self.heads:
            raise ValueError("dim must be a multiple of heads")
        if self.kernel < self.stride or (self.kernel - self.stride) % 2:
            raise ValueError("kernel must be stride plus an even number")
        return self


class ClusterConfig(Frozen):
    """How features are grouped, for images or for volumes."""

    clusters: int = Field(
        default=3000, ge=1, description="At most; fewer where samples are few"
    )
    samples_a_cluster: int = Field(
        default=8, ge=1, description="Samples there must be for a cluster"
    )
    heads: int = Field(default=3, ge=1, description="Clusterings of DeepCluster")
    halve: bool = Field(
        default=False, description="Each further clustering has half the clusters"
    )
    temperature: float = Field(default=0.1, gt=0)
    iterations: int = Field(default=10, ge=0, description="Of k-means")
    epsilon: float = Field(default=0.05, gt=0, description="Smoothness of SwAV's codes")
    sinkhorn: int = Field(default=3, ge=0, description="Rounds of evening codes out")
    queue: int = Field(default=0, ge=0, description="Past features in SwAV's codes")
    freeze_steps: int = Field(
        default=300, ge=0, description="Steps before SwAV's prototypes move"
    )


class FilmViews(Frozen):
    """Random changes between views of radiographs: what is bright stays bright.

    Strong changes of brightness teach a network to ignore what opacities are, and a
    mirrored chest has its heart on the right.
    """

    area: tuple[float, float] = (0.6, 1.0)
    mirror: float = Field(default=0.0, ge=0, le=1)
    contrast: float = Field(default=0.1, ge=0, lt=1)
    gamma: tuple[float, float] = (0.95, 1.05)
    field: float = Field(default=0.03, ge=0)


class JointViews(Frozen):
    """Random changes between views of an image or of a volume."""

    area: tuple[float, float] = Field(
        default=(0.14, 1.0), description="Share of an image that a large crop sees"
    )
    local_crops: int = Field(default=0, ge=0, description="Small crops beside the two")
    local_side: int = Field(default=96, ge=8, description="Pixels of a small crop")
    local_area: tuple[float, float] = (0.05, 0.14)
    volume_area: tuple[float, float] = Field(
        default=(0.5, 1.0), description="Share of its slices that a volume's view sees"
    )
    rotate_degrees: float = Field(default=15.0, ge=0)
    mirror: float = Field(default=0.5, ge=0, le=1)
    shift_hu: float = Field(default=20.0, ge=0, description="Of CT")
    noise_hu: float = Field(default=20.0, ge=0, description="Upper bound of the s.d.")
    contrast: float = Field(default=0.3, ge=0, lt=1, description="Of other images")
    gamma: tuple[float, float] = Field(
        default=(0.7, 1.4), description="Of other images; CT keeps its units"
    )
    field: float = Field(
        default=0.3, ge=0, description="Bias field of other images, in logarithms"
    )
    # None is what runs of before have, whose radiographs were changed as MR.
    films: FilmViews | None = Field(
        default=None, description="Of radiographs, in the place of the above"
    )


class PixelConfig(Frozen):
    """How pixels are grouped, whose groups a whole U-Net tells."""

    clusters: int = Field(default=32, ge=2)
    crop: int = Field(
        default=96, ge=32, multiple_of=32, description="An image's own pixels"
    )
    batch: int = Field(default=16, ge=2, description="Crops a step")
    rotate_degrees: float = Field(default=30.0, ge=0)
    scale: tuple[float, float] = Field(
        default=(0.8, 1.25), description="How large a crop is seen"
    )


class StagesConfig(Frozen):
    """How the steps are shared out between the stages, in order.

    With a share of 0 a stage is left out: the arms of an ablation are shares.
    """

    warm: float = Field(default=0.5, ge=0, description="A: images alone")
    mask: float = Field(default=0.1, ge=0, description="B: hidden slices, trunk frozen")
    joint: float = Field(default=0.4, ge=0, description="C: images and volumes")
    # None is what runs of before have, whose schedule must stay what it was.
    rates: tuple[float, float, float] | None = Field(
        default=None,
        description="Learning rates of A, B and C relative to the optimiser's, each "
        "with a warm-up and a fall of its own; without them one curve spans all three",
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.warm + self.mask + self.joint > 0:
            raise ValueError("the stages have no steps at all")
        return self


class JointConfig(RecipeConfig):
    """Images and volumes in one training: slices are the words of a volume."""

    name: Literal["joint"] = "joint"
    clustering: Literal["deepcluster", "swav"] = Field(
        default="deepcluster",
        description="deepcluster: k-means each epoch; swav: clusters while training",
    )
    stages: StagesConfig = StagesConfig()
    trunk: TrunkConfig = TrunkConfig()
    transformer: TransformerConfig = TransformerConfig()
    image_side: int = Field(default=256, ge=16, description="Pixels read of an image")
    image_crop: int = Field(default=224, ge=16, description="Pixels of a large crop")
    slice_side: int = Field(default=128, ge=16, description="Pixels of volumes' slices")
    slices: int = Field(default=64, ge=2, description="At most, of a volume")
    images_a_volume: int = Field(
        default=64, ge=1, description="Slices of a volume that are images too, at most"
    )
    head_dim: int = Field(default=128, ge=2, description="Size of an image's feature")
    batch: int = Field(default=128, ge=2, title="Images a step")
    volume_batch: int = Field(default=8, ge=2, title="Volumes a step")
    balance: float = Field(
        default=0.5, ge=0, le=1, description="1: sources by size; 0: all alike"
    )
    intra: float = Field(default=1.0, ge=0, description="Weight of the images' loss")
    inter: float = Field(default=1.0, ge=0, description="Weight of the volumes' loss")
    masked: float = Field(default=1.0, ge=0, description="Weight of hidden slices")
    dense: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the pixels' clusters, which train a decoder, too; in "
        "neither paper",
    )
    mask_share: float = Field(default=0.1, gt=0, lt=1, description="Of slices hidden")
    images: ClusterConfig = ClusterConfig()
    volumes: ClusterConfig = ClusterConfig(clusters=32, samples_a_cluster=4, halve=True)
    pixels: PixelConfig = PixelConfig()
    views: JointViews = JointViews()
    optimiser: OptimiserConfig = OptimiserConfig(warmup=0.05)
    clean_images: int = Field(
        default=512,
        ge=2,
        description="Unchanged images from which batch-norm statistics are estimated "
        "when the encoder is saved",
    )

    @property
    def shared_sizes(self) -> tuple[int, ...]:
        """Images, volumes, and crops of pixels if they are grouped."""
        sizes = (self.batch, self.volume_batch)
        return (*sizes, self.pixels.batch) if self.dense else sizes

    @model_validator(mode="after")
    def _something_to_minimise(self) -> Self:
        weights = self.intra + self.inter + self.masked + self.dense
        if self.stages.joint and not weights:
            raise ValueError("the weights of all losses are 0")
        return self
