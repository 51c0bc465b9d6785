"""The samples of the page: there where their pictures are, absent where not."""

from __future__ import annotations

import shutil

from helpers import SAMPLES

from photostyle.apps.web.editing import KEEP
from photostyle.apps.web.samples import find_samples
from photostyle.options.config import OPTIONS
from photostyle.regions.labelmap.label_colors import LABEL_COLORS

CHOICES = {name: each.choices for name, each in OPTIONS.items() if each.choices}


def test_those_of_the_repository_are_found():
    found = find_samples()
    assert len(found) == 3
    for sample in found:
        assert all(path.parent == SAMPLES and path.is_file() for path in (sample.content, *sample.styles))
        assert len(sample.names) == 1 + len(sample.styles)
        assert sample.mode in CHOICES["mode"]
        assert set(sample.choices) <= set(LABEL_COLORS)
        assert all(KEEP <= number < len(sample.styles) for number in sample.choices.values())


def test_without_their_pictures_there_are_none(tmp_path):
    assert find_samples(tmp_path) == []
    shutil.copy(SAMPLES / "montStMichel.webp", tmp_path)
    assert find_samples(tmp_path) == []
    shutil.copy(SAMPLES / "VincentVanGoghBridge.webp", tmp_path)
    assert [sample.title for sample in find_samples(tmp_path)] == ["An abbey, the sky kept"]
