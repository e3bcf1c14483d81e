"""Lines through the place that all views show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: How OpenGL names itself where the processor draws.
_SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "gdi generic", "basic render")

_COLOUR = (1.0, 0.85, 0.2, 0.7)


class Crosshair:
    """A line along each shown axis of one canvas.

    Parameters
    ----------
    canvas
        napari's canvas of a viewer.
    viewer
        The viewer or its model.
    """

    def __init__(self, canvas: Any, viewer: Any) -> None:
        from vispy.scene.visuals import Line

        self._viewer = viewer
        self._line = Line(connect="segments", color=_COLOUR, width=1)
        self._line.set_gl_state("translucent", depth_test=False)
        self._line.order = 1_000_000  # over all layers
        self._line.parent = canvas.view.scene
        self._emitters = (
            viewer.dims.events.point,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
            viewer.dims.events.range,
        )
        for emitter in self._emitters:
            emitter.connect(self._draw)
        self._draw()

    def end(self) -> None:
        """Take the lines away."""
        for emitter in self._emitters:
            emitter.disconnect(self._draw)
        self._line.parent = None

    def _draw(self, _event: object = None) -> None:
        dims = self._viewer.dims
        self._line.visible = dims.ndim == 3
        if dims.ndim == 3:
            self._line.set_data(segments(dims.point, dims.range, dims.displayed))


def draws_in_software(canvas: Any) -> bool:
    """Whether there is no graphics card: then each drawing of a volume takes seconds.

    Parameters
    ----------
    canvas
        napari's canvas, which has been drawn once.
    """
    from vispy.gloo import gl

    canvas.native.makeCurrent()
    name = str(gl.glGetParameter(gl.GL_RENDERER)).lower()
    return any(word in name for word in _SOFTWARE)


def segments(
    point: tuple[float, ...],
    ranges: tuple[tuple[float, float, float], ...],
    shown: tuple[int, ...],
) -> NDArray[np.float64]:
    """Return the ends of a line along each shown axis, as vispy takes them.

    Parameters
    ----------
    point
        Where they meet, in world coordinates.
    ranges
        First, last and step of each world axis.
    shown
        Displayed world axes, rows before columns.

    Returns
    -------
    numpy.ndarray
        Of shape (2 x axes, axes): x, y and, in 3D, z.
    """
    ends = []
    for axis in shown:
        for limit in ranges[axis][:2]:
            end = list(point)
            end[axis] = limit
            ends.append([end[one] for one in reversed(shown)])
    return np.array(ends, dtype=float)
