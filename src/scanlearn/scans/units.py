"""Units of length as files write them."""

from __future__ import annotations

_MM = {
    1e-6: ("nm", "nanometer", "nanometre"),
    1e-3: ("um", "µm", "μm", "micron", "micrometer", "micrometre"),
    1.0: ("mm", "millimeter", "millimetre"),
    10.0: ("cm", "centimeter", "centimetre"),
    100.0: ("dm", "decimeter", "decimetre"),
    1000.0: ("m", "meter", "metre"),
    25.4: ("in", "inch", "inches", '"'),
}
_KNOWN = {name: mm for mm, names in _MM.items() for name in names}


def millimetres(unit: str) -> float | None:
    """Return how many millimetres a unit of length is; None for no unit of length.

    Capitals, blanks around it and a plural do not matter.
    """
    name = unit.strip().casefold()
    return _KNOWN.get(name, _KNOWN.get(name.removesuffix("s")))
