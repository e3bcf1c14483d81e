"""Colours of classes: the same everywhere, told apart by colour-blind readers too."""

#: Okabe and Ito's set (2008) without black, ordered for contrast on grey scans.
CLASS_COLOURS = (
    "#56B4E9",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#F0E442",
    "#0072B2",
    "#D55E00",
)

#: What speaks for a class at a place of an image, and what against it.
FOR, AGAINST = "#D55E00", "#0072B2"


def class_colour(value: int) -> str:
    """Return the colour of a class by its value in the label map (from 1)."""
    return CLASS_COLOURS[(value - 1) % len(CLASS_COLOURS)]
