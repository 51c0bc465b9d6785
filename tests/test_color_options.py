"""Preserved colours and denoising on the whole way from pictures to a result."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import LAYERS, Log, built, halves, indexed_mask, picture

import photostyle
from photostyle import pipeline
from photostyle.colors.luminance import grey, recombine
from photostyle.errors import UsageError
from photostyle.finish import result
from photostyle.finish.denoise import denoised
from photostyle.images import resize
from photostyle.images.tensors import to_tensor
from photostyle.options.config import TransferConfig, resolve
from photostyle.progress import Rows
from photostyle.solvers.schedule import plan

CONTENT, STYLE = 0.25 + 0.5 * picture(64, 48, 1), picture(52, 44, 2)
LUMA = np.array([0.299, 0.587, 0.114])
KEPT = ["luminance", "histogram", "linear"]


@pytest.fixture
def transfer(weights):
    def run(content=CONTENT, style=STYLE, **options):
        return photostyle.transfer(content, style, **{"weights": weights, "iterations": 4, **LAYERS, **options})

    return run


def chroma(x):
    return x - (x @ LUMA)[..., None]


def mean_and_covariance(x):
    return np.concatenate([x.mean((0, 1)), np.cov(x.reshape(-1, 3).T, ddof=0).ravel()])


def test_with_luminance_the_colours_are_the_contents_and_the_light_is_not(transfer):
    result = transfer(preserve_color="luminance").rgb
    free = (result.min(2) > 1e-4) & (result.max(2) < 1 - 1e-4)
    assert free.mean() > 0.5
    np.testing.assert_allclose(chroma(result)[free], chroma(CONTENT)[free], atol=1e-5)
    assert np.abs(result @ LUMA - CONTENT @ LUMA).mean() > 0.01


@pytest.mark.parametrize("how", KEPT)
def test_a_grey_content_gives_hardly_a_colour(transfer, how):
    result = transfer(grey(CONTENT), preserve_color=how).rgb
    bright = transfer(grey(CONTENT)).rgb
    assert np.ptp(result, axis=2).mean() < (1e-6 if how == "luminance" else 0.3 * np.ptp(bright, axis=2).mean())


@pytest.mark.parametrize("how", ["histogram", "linear"])
def test_the_result_is_nearer_to_the_contents_colours(transfer, how):
    """With nothing but a style to follow."""
    options = {"style": 1 - 0.5 * STYLE, "content_weight": 0.0, "iterations": 20, "start": "style"}
    wanted = mean_and_covariance(CONTENT)
    plain, kept = (np.abs(mean_and_covariance(transfer(preserve_color=c, **options).rgb) - wanted).sum()
                   for c in ("none", how))  # fmt: skip
    assert kept < 0.5 * plain


@pytest.mark.parametrize("how", KEPT)
def test_the_start_is_the_matched_style(how, weights):
    dark = 0.5 * STYLE
    prepared = pipeline.prepare(CONTENT, dark, weights=weights, preserve_color=how, start="style", **LAYERS)
    (stage,) = plan(prepared.config, prepared.solve_size)
    problem = prepared.problem
    content, style = (to_tensor(resize(each, stage.size)) for each in (problem.content, problem.styles[0]))
    start = style[0].permute(1, 2, 0).numpy()
    wanted = grey(CONTENT) if how == "luminance" else CONTENT
    assert np.abs(start.mean((0, 1)) - wanted.mean((0, 1))).max() < 0.02
    np.testing.assert_allclose(content[0].permute(1, 2, 0).numpy(), wanted, atol=1e-6)
    assert np.array_equal(prepared.content.rgb, CONTENT)
    assert np.array_equal(prepared.styles[0].rgb, dark)


def test_a_large_style_is_matched_at_the_size_at_which_it_is_used(weights):
    options = {"weights": weights, "preserve_color": "linear", **LAYERS}
    assert pipeline.prepare(CONTENT, picture(200, 160, 2), **options).problem.styles[0].shape == (51, 64, 3)
    double = pipeline.prepare(CONTENT, picture(200, 160, 2), style_scale=2.0, **options)
    assert double.problem.styles[0].shape == (102, 128, 3)
    assert pipeline.prepare(CONTENT, STYLE, style_scale=2.0, **options).problem.styles[0].shape == STYLE.shape


def test_colours_come_back_at_full_size_with_alpha_and_16_bits(transfer):
    content = picture(160, 120, 4)
    content = 0.3 + 0.2 * content
    content[::2, ::2, 0] += 0.1  # colour that 64 px can't hold
    rgba = np.round(np.dstack([content, np.full((120, 160, 1), 0.5)]) * 65535).astype(np.uint16)
    result = transfer(rgba, preserve_color="luminance", size=160, solve_size=64, denoise="tv")
    assert result.bit_depth == 16
    assert np.ptp(result.alpha) == 0
    assert result.rgb.shape == (120, 160, 3)
    free = (result.rgb.min(2) > 1e-4) & (result.rgb.max(2) < 1 - 1e-4)
    assert free.mean() > 0.9
    np.testing.assert_allclose(chroma(result.rgb)[free], chroma(content)[free], atol=3e-5)


def test_snapshots_have_the_contents_colours(transfer):
    log = Log()
    result = transfer(preserve_color="luminance", snapshots=(4,), callback=log)
    np.testing.assert_allclose(log.snapshots[0].image, result.rgb, atol=1e-6)


@pytest.mark.parametrize("how", KEPT)
def test_regions_and_kept_labels(transfer, how, tmp_path):
    mask = indexed_mask(tmp_path / "content.png", {0: "sky", 1: "sea"}, halves())
    theirs = indexed_mask(tmp_path / "style.png", {0: "sea", 1: "sky"}, halves(52, 44))
    result = transfer(preserve_color=how, content_mask=mask, style_mask=theirs, keep=("sea",))
    assert np.isfinite(result.rgb).all()
    np.testing.assert_allclose(result.rgb[30:], CONTENT[30:], atol=1e-6)
    assert np.abs(result.rgb[:20] - CONTENT[:20]).mean() > 0.01


@pytest.mark.parametrize("how", KEPT)
def test_flat_pictures_go_through(transfer, how):
    flat = np.full((48, 64, 3), 0.4, np.float32)
    for content, style in ((flat, STYLE), (CONTENT, flat), (flat, 1 - flat)):
        assert np.isfinite(transfer(content, style, preserve_color=how, tv_weight=0.0).rgb).all()


@pytest.mark.parametrize("how", KEPT)
def test_photo_mode_refuses_to_keep_the_colours(how):
    with pytest.raises(UsageError, match=f"--preserve-color {how} .* photo mode .* --mode artistic"):
        resolve(TransferConfig(mode="photo", preserve_color=how))


def test_a_strength_needs_something_to_be_strong():
    with pytest.raises(UsageError, match="--denoise-strength is 2, but needs --denoise tv or nlm"):
        resolve(TransferConfig(denoise_strength=2.0))
    with pytest.raises(UsageError, match=r"--denoise-strength is -1\.0, but must be a number"):
        TransferConfig(denoise="tv", denoise_strength=-1.0)
    assert resolve(TransferConfig(mode="photo", denoise="nlm", denoise_strength=0)).denoise == "nlm"


@pytest.mark.parametrize("how", ["tv", "nlm"])
@pytest.mark.parametrize(
    "options", [{}, {"mode": "photo"}, {"solver": "pixels", "mode": "photo"}], ids=["pixels", "field", "smoothed"]
)
def test_denoising_is_that_of_the_finished_pixels(transfer, how, options):
    options = {"regions": "none", "iterations": 2, **options}
    plain = transfer(**options).rgb
    log = Log()
    clean = transfer(**options, denoise=how, denoise_strength=3.0, callback=log).rgb
    assert np.array_equal(clean, denoised(plain, how, 3.0))
    assert not np.array_equal(clean, plain)
    assert Rows(48, 48) in log.events


def test_the_noise_goes_before_the_result_is_enlarged(transfer):
    options = {"size": 128, "solve_size": 64, "start": "noise", "content_weight": 0.0, "tv_weight": 0.0}
    content = picture(128, 96, 1)
    plain = transfer(content, **options).rgb
    clean = transfer(content, **options, denoise="tv", denoise_strength=2.0).rgb
    late = denoised(plain, "tv", 2.0)
    assert np.abs(np.diff(clean, axis=0)).mean() < 0.8 * np.abs(np.diff(late, axis=0)).mean()


def test_the_order_of_the_finish(transfer, monkeypatch):
    """Noise first, or the contrast would stretch it; what is kept last, so that nothing touches it."""
    told = []

    def watch(name):
        function = getattr(result, name)

        def watched(*arguments):
            told.append(name)
            return function(*arguments)

        monkeypatch.setattr(result, name, watched)

    for name in ("_keep", "auto_contrast", "recombine", "denoised"):
        watch(name)
    transfer(preserve_color="luminance", denoise="tv", auto_contrast=True)
    assert told == ["denoised", "recombine", "auto_contrast", "_keep"]


def test_luminance_goes_with_smoothing(transfer):
    """The local affine maps then run from grey to grey."""
    rgb = transfer(preserve_color="luminance", smoothing=1e-3).rgb
    np.testing.assert_allclose(rgb, recombine(rgb, CONTENT), atol=1e-5)


def test_colours_stay_in_range_without_being_clipped(weights):
    """By default, pixels are kept from leaving [0, 1] while they are optimised."""
    config = resolve(TransferConfig())
    assert config.gamut_weight > 0
    prepared = pipeline.prepare(CONTENT, STYLE, weights=weights, **LAYERS)
    (stage,) = plan(prepared.config, prepared.solve_size)
    objective, x = built(prepared.problem, stage, prepared.config)
    assert objective(x + 1).losses["gamut"] > 0.1
