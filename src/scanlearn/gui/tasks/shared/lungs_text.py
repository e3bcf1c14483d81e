"""The densities of a chest CT in words."""

from __future__ import annotations

from scanlearn.prediction.summary import Prediction


def lungs_text(prediction: Prediction) -> str:
    """Return the densities of a chest CT with what makes them doubtful."""
    found = prediction.lungs
    if not found:
        return ""
    text = (
        f"Both lungs: {found['volume_ml']:,.0f} ml · "
        f"LAA-950 {found['laa950_percent']:.1f} % · "
        f"Perc15 {found['perc15_hu']:.0f} HU · mean {found['mean_hu']:.0f} HU"
    ).replace(" ", "\N{NO-BREAK SPACE}")
    # A number stays with its unit; a line may break at the dots.
    text = text.replace("·\N{NO-BREAK SPACE}", "· ")
    return "\n".join([text, *(f"⚠ {caution}" for caution in prediction.cautions)])
