"""The size at which a style picture is seen at a stage."""

from __future__ import annotations

import numpy as np
import pytest

from photostyle.objective.build import _style_size


@pytest.mark.parametrize(
    ("own", "scale", "expected"),
    [
        ((900, 600), 1.0, (512, 341)),  # brought to the size of the result
        ((400, 300), 1.0, (400, 300)),  # small ones stay as they are: enlarged strokes would be blurred
        ((400, 300), 2.0, (800, 600)),  # but for a scale that asks for it
        ((900, 600), 2.0, (1024, 683)),
        ((400, 300), 0.5, (256, 192)),
        ((200, 150), 0.5, (200, 150)),
        ((400, 20), 1.0, (640, 32)),  # the shorter side is long enough for the deepest layers
    ],
)
def test_style_pictures_are_as_large_as_the_result_but_not_enlarged(own, scale, expected):
    picture = np.zeros((own[1], own[0], 3), dtype=np.float32)
    assert _style_size(picture, (512, 384), scale) == expected
