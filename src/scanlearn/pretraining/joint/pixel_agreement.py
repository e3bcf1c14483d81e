"""Each pixel's cluster, told by a whole U-Net: the joint method's idea for pixels.

The image-level losses train one vector an image and no decoder. Here pixels are grouped
by what they show and where, and the U-Net that a segmentation will have tells the group
of each from a changed crop: it must see through contrast and noise, find borders, and
know where in the body it looks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn import processes
from scanlearn.config.joint import JointViews, PixelConfig
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.pretraining.joint.pixel_crops import SMOOTHED, PixelCrops
from scanlearn.pretraining.joint.slice_views import image_views
from scanlearn.pretraining.shared.point_clusters import PointClusters
from scanlearn.randomness import numpy_generator, stream_seed

#: A crop is read so much larger than it is seen: turned views show tissue to their end.
MARGIN = 1.5

#: What a difference of one standard deviation of a grey value weighs, or of one of a
#: place: the field of view and the stack reach from -1 to 1.
_WEIGHTS = (1.2, 0.8, 1.5, 1.5, 0.6)

#: Clusters are found in so many pixels of so many crops.
_CROPS, _PIXELS = 512, 80


class PixelAgreement(nn.Module):
    """Clusters of pixels, and the U-Net that tells them.

    Parameters
    ----------
    encoder
        Trained with the decoder; it is the recipe's own.
    crops
        Where pixels come from.
    config, views
        Settings, and how crops are changed.
    """

    def __init__(
        self,
        encoder: SliceEncoder,
        crops: PixelCrops,
        *,
        config: PixelConfig,
        views: JointViews,
    ) -> None:
        super().__init__()
        self.crops, self.config = crops, config
        self.unet = SliceUNet(encoder, classes=config.clusters, context=False)
        seen = crops.side / MARGIN
        low, high = config.scale
        # Nothing is mirrored: the place in the field of view is what is to be told.
        own = {"rotate_degrees": config.rotate_degrees, "mirror": 0.0}
        self.views = image_views(
            views.model_copy(update=own),
            size=round(seen),
            area=((seen / high / crops.side) ** 2, (seen / low / crops.side) ** 2),
        )
        self.clusters = PointClusters(
            config.clusters,
            weights=_WEIGHTS,
            grey=len(SMOOTHED),
            sources=len(crops.cohorts.sources),
        )

    @property
    def chance(self) -> Tensor:
        """The loss of whoever knows nothing but how frequent each cluster is."""
        return self.clusters.chance

    def begin(self) -> None:
        """Find the clusters, once: k-means on pixels of crops of all images."""
        if not self.clusters.are_found:
            seed = stream_seed(self.crops.seed, "pixel clusters") % 2**32
            self.clusters.find(*self._sample(), seed=seed)

    def _sample(self) -> tuple[Tensor, Tensor]:
        """Return features (n, 5) of pixels drawn from crops, and sources (n,)."""
        rng = numpy_generator(self.crops.seed, "pixels")
        images = self.crops.cohorts.images
        rows, sources = [], []
        for number in range(_CROPS):
            image = int(rng.integers(len(images)))
            _, features = self.crops.at(
                image, -1 - number
            )  # no crop that is trained on
            flat = features.flatten(1)
            chosen = rng.integers(flat.shape[1], size=_PIXELS)
            rows.append(flat[:, chosen].T)
            sources += [images[image].source] * _PIXELS
        device = self.clusters.centres.device
        return torch.cat(rows).to(device), torch.tensor(sources, device=device)

    def forward(
        self,
        crops: Tensor,
        features: Tensor,
        sources: Tensor,
        hounsfield: Tensor,
        film: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the cross-entropy of the clusters of changed crops.

        Parameters
        ----------
        crops, features
            (n, S, S) and (n, 5, S, S) of :meth:`PixelCrops.at`.
        sources, hounsfield, film
            (n,) of the images, whether they are CT, and whether radiographs.
        generator
            Of the changes.
        """
        draw = processes.share(
            self.views.sample(
                processes.spread(hounsfield), processes.spread(film), generator
            )
        )
        size = [len(crops), 1, self.views.size, self.views.size]
        grid = F.affine_grid(draw.maps, size, align_corners=False)
        seen = F.grid_sample(features, grid, padding_mode="border", align_corners=False)
        targets = self.clusters.of(seen, sources)
        x = self.views.apply(crops[:, None], draw, hounsfield)
        logits = self.unet(x)[:, :, 0]
        return F.cross_entropy(logits.float(), targets)


def crop_side(config: PixelConfig, shapes: Sequence[tuple[int, ...]]) -> int:
    """Return what is read for a crop: no more pixels than the largest image has."""
    longest = max(max(shape[1:]) for shape in shapes)
    seen = min(config.crop, -(-longest // 32) * 32)
    return round(MARGIN * seen)
