"""The sample cohort that ships as code: chest phantoms with their ground truth."""

from scanlearn.phantom.chest import Disease, Phantom, make_chest
from scanlearn.phantom.radiograph import Radiograph, make_radiograph
from scanlearn.phantom.sample import write_sample

__all__ = [
    "Disease",
    "Phantom",
    "Radiograph",
    "make_chest",
    "make_radiograph",
    "write_sample",
]
