"""Radiographs for detection: as squares, with their boxes, and crops of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.record import ScanRecord
from scanlearn.cohort.slices import SliceCohorts, square_grid
from scanlearn.cohort.working import IntensityUnits
from scanlearn.scans.boxes import Boxes, box_centres, to_pixels, to_plane
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.detection.finding_set import LabelledFindings

#: A box's middle lies at most this share of a crop from the crop's middle.
_OFF_CENTRE = 0.35


@dataclass(frozen=True, eq=False)
class BoxImage:
    """A radiograph with its boxes.

    Parameters
    ----------
    number
        Of the image in the :class:`SliceCohorts`.
    record
        The scan's.
    boxes
        (n, 4) in millimetres of the image's plane.
    objects
        (n, 4) middles as row and column of the square, heights and widths in its
        pixels.
    """

    number: int
    record: ScanRecord
    boxes: Boxes
    objects: NDArray[np.float32]

    @property
    def key(self) -> str:
        """The scan's key."""
        return self.record.key

    @property
    def patient(self) -> str:
        """Whose radiograph it is."""
        return self.record.patient

    @property
    def units(self) -> IntensityUnits:
        """What stored intensities mean."""
        return self.record.intensity.units


def box_image(
    cohorts: SliceCohorts, number: int, item: LabelledFindings, *, side: int
) -> BoxImage:
    """Place a radiograph's labels on its square."""
    record = cohorts.images[number].record
    objects = objects_of(item.objects, record.grid, side)
    return BoxImage(number, record, item.objects, objects.astype(np.float32))


def objects_of(boxes: Boxes, grid: Grid, side: int) -> NDArray[np.float64]:
    """Map boxes in the plane of an image to middles and sizes on its square.

    Parameters
    ----------
    boxes
        (n, 4) in millimetres.
    grid
        Of the image (1, rows, columns).
    side
        Of the square.

    Returns
    -------
    ndarray
        (n, 4) row, column, height, width.
    """
    pixels = to_pixels(boxes, square_grid(grid, side))
    return np.hstack([box_centres(pixels)[:, ::-1], pixels[:, :1:-1]])


def boxes_of(objects: NDArray[np.floating], grid: Grid, side: int) -> Boxes:
    """Map middles and sizes on a square to boxes; undoes :func:`objects_of`."""
    sizes = objects[:, :1:-1]
    corners = objects[:, 1::-1] - sizes / 2
    return to_plane(np.hstack([corners, sizes]), square_grid(grid, side))


class BoxSampler:
    """Chooses crops of labelled radiographs.

    Parameters
    ----------
    images
        The labelled radiographs; some may have no box.
    side
        Of their squares.
    crop
        Side of a crop.
    around
        Share of crops with a box, each box as often as another. The others have
        radiographs in turn and lie anywhere.
    """

    def __init__(
        self, images: list[BoxImage], *, side: int, crop: int, around: float
    ) -> None:
        self.images, self.side, self.crop = images, side, min(side, crop)
        self._boxes = [
            (index, row)
            for index, image in enumerate(images)
            for row in range(len(image.objects))
        ]
        self._around = around if self._boxes else 0.0
        self.most = max([1, *(len(image.objects) for image in images)])

    def sample(self, rng: np.random.Generator) -> tuple[int, NDArray[np.int_]]:
        """Return the number of a radiograph and a crop's first row and column."""
        if rng.random() < self._around:
            index, row = self._boxes[int(rng.integers(len(self._boxes)))]
            reach = self.crop * _OFF_CENTRE
            middle = self.images[index].objects[row, :2] + rng.uniform(-reach, reach, 2)
        else:
            index = int(rng.integers(len(self.images)))
            middle = rng.uniform(0, self.side, 2)
        start = np.rint(middle - (self.crop - 1) / 2).astype(int)
        return index, np.clip(start, 0, self.side - self.crop)

    def objects(self, index: int, start: NDArray[np.int_]) -> NDArray[np.float32]:
        """Return all boxes of a radiograph (most, 4), counted from a crop's corner.

        Rows that no box needs are NaN.
        """
        known = self.images[index].objects
        rows = np.full((self.most, 4), np.nan, dtype=np.float32)
        rows[: len(known)] = known
        rows[:, :2] -= start
        return rows
