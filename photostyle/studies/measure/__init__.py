"""Measuring: every number that photostyle tells of a result, each under one name (see ``catalogue.py``)."""

from photostyle.studies.measure.catalogue import SCORES, Score, most_telling_first, told
from photostyle.studies.measure.networks import Networks, load_networks
from photostyle.studies.measure.photo import RegionPair
from photostyle.studies.measure.ruler import Ruler
from photostyle.studies.measure.terms import ObjectiveTerms
from photostyle.studies.measure.truth import check_truth, truth_scores

__all__ = [
    "SCORES",
    "Networks",
    "ObjectiveTerms",
    "RegionPair",
    "Ruler",
    "Score",
    "check_truth",
    "load_networks",
    "most_telling_first",
    "told",
    "truth_scores",
]
