"""The objective that is built from pictures and regions, against loops over the whole of DESIGN's formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from photostyle.networks import Backbone
from photostyle.networks.vgg import VGG
from photostyle.objective.build import ContentInput, build_objective
from photostyle.objective.grain import grain_covariances, grain_distances, grain_regions
from photostyle.objective.matting import matting_laplacian
from photostyle.objective.style_targets import StyleInput
from photostyle.options.config import TransferConfig, resolve
from photostyle.regions.match import Assignment, Source

KINDS = ("relative", "papers")
CONTENT, STYLE = ("relu2_1", "relu3_1"), ("relu1_1", "relu2_1", "relu3_1")


@pytest.fixture
def backbone(narrow_weights):
    vgg = VGG(narrow_weights(count=5), (*CONTENT, *STYLE)).double()
    return Backbone(vgg, "vgg16", CONTENT, STYLE, "0" * 64, "tests")


def picture(height, width, seed):
    return torch.from_numpy(np.random.default_rng(seed).uniform(size=(1, 3, height, width)))


def soft_masks(height, width, seed, count=2):
    """Soft masks of unequal shares that sum to one."""
    masks = np.random.default_rng(seed).uniform(size=(count, height, width)) ** 2
    masks[0, : height // 2] += 2
    masks[1, :, : width // 3] = 0
    return torch.from_numpy(masks / masks.sum(0))


def config(**options):
    """Weights that are unlike each other, and no defaults that belong to other layers."""
    weights = {
        "gamut_weight": 0.0,
        "grain_weight": 0.0,
        "content_weight": 0.7,
        "style_weight": 1.3,
        "tv_weight": 0.0,
        "matting_weight": 0.0,
    }
    return resolve(TransferConfig(**(weights | {"content_layers": CONTENT, "style_layers": STYLE} | options)))


def alone(label, style=0, source=None):
    return Assignment(label, (Source(style, source, 1.0),))


# The formula, from the features on, in loops.


def pooled(mask, grid):
    """2×2 blocks until the grid is reached."""
    mask = np.asarray(mask)
    while mask.shape != tuple(grid):
        height, width = mask.shape[0] // 2, mask.shape[1] // 2
        mask = mask[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))
    return mask


def gram(features, mask):
    channels, height, width = features.shape
    result = np.zeros((channels, channels))
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                for d in range(channels):
                    result[c, d] += mask[y, x] * features[c, y, x] * features[d, y, x]
    return result / mask.sum()


def feature_maps(backbone, image):
    with torch.no_grad():
        return {layer: value[0].numpy() for layer, value in backbone(image).items()}


def brute_style(backbone, x, content, styles, assignments, betas, kind):
    """Σ_l β_l Σ_k a_k d(G_k, Σ_s w_s A_s), all weights divided by their sums."""
    result = feature_maps(backbone, x)
    style_maps = [feature_maps(backbone, style.image) for style in styles]
    loss = 0.0
    for layer, beta in zip(STYLE, betas, strict=True):
        features = result[layer]
        for k, assignment in enumerate(assignments):
            share = content.masks[k].mean().item()
            target, total = 0, sum(source.weight for source in assignment.sources)
            for source in assignment.sources:
                theirs = style_maps[source.style][layer]
                whole = np.ones(theirs.shape[1:])
                mask = whole if source.label is None else styles[source.style].masks[source.label]
                target = target + source.weight / total * gram(theirs, pooled(mask, theirs.shape[1:]))
            mine = gram(features, pooled(content.masks[k], features.shape[1:]))
            scale = (target**2).sum() if kind == "relative" else 4 * len(features) ** 2
            loss += beta / sum(betas) * share * ((mine - target) ** 2).sum() / scale
    return loss


def brute_content(backbone, x, content, alphas, kind):
    result, target = feature_maps(backbone, x), feature_maps(backbone, content.image)
    loss = 0.0
    for layer, alpha in zip(CONTENT, alphas, strict=True):
        squares = [(float(f) - float(p)) ** 2 for f, p in zip(result[layer].flat, target[layer].flat, strict=True)]
        scale = (target[layer] ** 2).sum() if kind == "relative" else 2 * len(squares)
        loss += alpha / sum(alphas) * sum(squares) / scale
    return loss


def case():
    """Two soft regions, one of them with a blend of a region and a whole picture; sizes odd in places."""
    content = ContentInput(picture(27, 31, 1), soft_masks(27, 31, 2))
    styles = [
        StyleInput(picture(29, 26, 3), dict(zip(("sky", "water"), soft_masks(29, 26, 4), strict=True))),
        StyleInput(picture(17, 26, 5), {}),
    ]
    assignments = [
        Assignment("sky", (Source(0, "sky", 0.3), Source(1, None, 0.7))),
        Assignment("water", (Source(0, "water", 1.0),)),
    ]
    return content, styles, assignments


@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_is_the_formula(backbone, kind):
    content, styles, assignments = case()
    options = {"content_layer_weights": (1.0, 3.0), "style_layer_weights": (2.0, 1.0, 5.0)}
    made = build_objective(backbone, content, styles, assignments, config(normalisation=kind, **options))
    x = picture(27, 31, 6)
    found = made(x).losses
    style = brute_style(backbone, x, content, styles, assignments, (2, 1, 5), kind)
    assert found["style"] == pytest.approx(1.3 * style, rel=1e-9)
    assert found["content"] == pytest.approx(0.7 * brute_content(backbone, x, content, (1, 3), kind), rel=1e-9)
    assert set(found) == {"content", "style", "total"}
    assert made.notes == ()


@pytest.mark.parametrize("kind", KINDS)
def test_layers_count_alike_by_default(backbone, kind):
    content, styles, assignments = case()
    made = build_objective(backbone, content, styles, assignments, config(normalisation=kind))
    x = picture(27, 31, 6)
    found = made(x).losses
    style = brute_style(backbone, x, content, styles, assignments, (1, 1, 1), kind)
    assert found["style"] == pytest.approx(1.3 * style, rel=1e-9)
    assert found["content"] == pytest.approx(0.7 * brute_content(backbone, x, content, (1, 1), kind), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_of_the_whole(backbone, kind, rng):
    """All four terms together, in float64."""
    image = rng.uniform(size=(8, 9, 3))
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    content = ContentInput(tensor, soft_masks(8, 9, 2), matting_laplacian(image))
    styles = [StyleInput(picture(9, 8, 3), dict(zip("ab", soft_masks(9, 8, 4), strict=True)))]
    options = config(normalisation=kind, tv_weight=2000.0, matting_weight=500.0)
    made = build_objective(backbone, content, styles, [alone("a", 0, "a"), alone("b", 0, "b")], options)
    x = picture(8, 9, 6).requires_grad_()
    assert set(made.losses(x)) == {"content", "style", "tv", "matting"}
    assert torch.autograd.gradcheck(lambda p: torch.stack(list(made.losses(p).values())).sum(), (x,), atol=1e-4)
    evaluation = made(x.detach())
    assert sum(evaluation.losses.values()) == pytest.approx(2 * evaluation.total)


def test_matting_and_tv_are_part_of_the_loss(backbone, rng):
    """Each with its weight and with the factor of the size."""
    image = rng.uniform(size=(8, 12, 3))
    laplacian = matting_laplacian(image)
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    content, style = ContentInput(tensor, torch.ones(1, 8, 12).double(), laplacian), StyleInput(picture(8, 8, 3), {})
    made = build_objective(backbone, content, [style], [alone("all")], config(tv_weight=7.0, matting_weight=11.0))
    x = picture(8, 12, 6)
    columns = x[0].reshape(3, -1).numpy()
    found, factor = made(x).losses, (12 / 512) ** 2
    energy = sum(c @ laplacian.toarray() @ c for c in columns) / 96
    across, down = np.diff(x.numpy(), axis=3), np.diff(x.numpy(), axis=2)
    assert found["matting"] == pytest.approx(11 * factor * energy, rel=1e-9)
    assert found["tv"] == pytest.approx(7 * factor * ((across**2).mean() + (down**2).mean()), rel=1e-9)
    assert found["total"] == pytest.approx(sum(found[name] for name in ("content", "style", "tv", "matting")), rel=1e-9)


def test_without_a_laplacian_there_is_no_matting_term(backbone):
    content, styles, assignments = case()
    made = build_objective(backbone, content, styles, assignments, config(matting_weight=11.0))
    assert set(made(picture(27, 31, 6)).losses) == {"content", "style", "total"}


def test_zero_at_the_target(backbone):
    """The content as its own style: nothing to do, and a finite gradient of zero."""
    image, masks = picture(17, 18, 1), soft_masks(17, 18, 2)
    styles = [StyleInput(image, dict(zip("ab", masks, strict=True)))]
    made = build_objective(
        backbone, ContentInput(image, masks), styles, [alone("a", 0, "a"), alone("b", 0, "b")], config()
    )
    found = made(image)
    assert found.losses == {"content": 0, "style": 0, "total": 0}
    assert torch.equal(found.gradient, torch.zeros_like(image))


def test_two_regions_of_one_style_cost_more_than_one(backbone):
    """Where each half must look like the whole style, more is asked than of the picture as a whole."""
    content, styles, _ = case()
    both = [alone("sky", 1), alone("water", 1)]
    one = ContentInput(content.image, torch.ones_like(content.masks[:1]))
    x = picture(27, 31, 6)
    split = build_objective(backbone, content, styles, both, config())(x).losses["style"]
    united = build_objective(backbone, one, styles, both[:1], config())(x).losses["style"]
    assert split == pytest.approx(1.3 * brute_style(backbone, x, content, styles, both, (1, 1, 1), "relative"))
    assert united == pytest.approx(1.3 * brute_style(backbone, x, one, styles, both[:1], (1, 1, 1), "relative"))
    # ‖·‖² is convex, and the whole's matrix is the mean of the regions' (nearly: pooling drops rows).
    assert united < split


@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_only_the_ratio_of_blend_and_layer_weights_counts(backbone, factor):
    content, styles, assignments = case()
    scaled = [
        Assignment(a.label, tuple(Source(s.style, s.label, factor * s.weight) for s in a.sources)) for a in assignments
    ]
    plain = build_objective(backbone, content, styles, assignments, config())
    other = build_objective(
        backbone,
        content,
        styles,
        scaled,
        config(content_layer_weights=(factor,) * 2, style_layer_weights=(factor,) * 3),
    )
    x = picture(27, 31, 6)
    assert other(x).losses == pytest.approx(plain(x).losses, rel=1e-10)


def test_the_grain_of_each_region_is_compared_with_that_of_its_own_style(backbone):
    """By the regions' shares; a blend is the mean of its sources; a region of a few pixels is left out."""
    sky = torch.zeros(64, 48, dtype=torch.float64)
    sky[:40] = 1
    dot = torch.zeros_like(sky)
    dot[50:57, 10:18] = 1
    masks = torch.stack([sky, 1 - sky - dot, dot])
    styles = [StyleInput(picture(40, 36, 3), {}), StyleInput(picture(36, 44, 4) ** 2, {})]
    blend = Assignment("ground", (Source(0, None, 3.0), Source(1, None, 1.0)))
    content = ContentInput(picture(64, 48, 1), masks)
    made = build_objective(backbone, content, styles, [alone("sky", 1), blend, alone("dot")], config(grain_weight=0.5))
    x = picture(64, 48, 6)
    found = grain_covariances(x, grain_regions(masks[:2]))
    plain, other = (
        grain_covariances(s.image, grain_regions(torch.ones(1, *s.image.shape[2:]).double())) for s in styles
    )
    distances = grain_distances(found, torch.cat([other, 0.75 * plain + 0.25 * other]))
    expected = 1.3 * 0.5 * float((masks[:2].mean((1, 2)) * distances).sum())
    assert made(x).losses["grain"] == pytest.approx(expected, rel=1e-9)


def corner(height, width, rows, columns):
    """A small region in a corner and the rest."""
    masks = torch.zeros(2, height, width, dtype=torch.float64)
    masks[0, :rows, :columns] = 1
    masks[1] = 1 - masks[0]
    return masks


def test_a_small_region_of_the_content_is_left_out_of_deep_layers(backbone):
    """6×6 of 32×32 pixels: 36, 9 and 2.25 cells."""
    content = ContentInput(picture(32, 32, 1), corner(32, 32, 6, 6))
    style = StyleInput(picture(24, 24, 3), {})
    assignments = [alone("dot"), alone("rest")]
    made = build_objective(backbone, content, [style], assignments, config())
    assert made.notes == ("'dot' is left out of relu3_1 at 32×32: its content region has less than 4 cells there",)
    x = picture(32, 32, 6)
    whole = ContentInput(content.image, content.masks)
    parts = [
        brute_style(backbone, x, whole, [style], assignments, betas, "relative") for betas in ((1, 0, 0), (0, 1, 0))
    ]
    rest = ContentInput(content.image, content.masks[1:])
    parts.append(brute_style(backbone, x, rest, [style], assignments[1:], (0, 0, 1), "relative"))
    assert made(x).losses["style"] == pytest.approx(1.3 * sum(parts) / 3, rel=1e-9)


def test_a_small_region_of_the_style_is_left_out_of_deep_layers(backbone):
    content = ContentInput(picture(32, 28, 1), corner(32, 28, 16, 16))
    style = StyleInput(picture(24, 24, 3), dict(zip(("dot", "rest"), corner(24, 24, 5, 5), strict=True)))
    assignments = [alone("dot", 0, "dot"), alone("rest", 0, "rest")]
    made = build_objective(backbone, content, [style], assignments, config())
    assert made.notes == ("'dot' is left out of relu3_1 at 28×32: its style region has less than 4 cells there",)
    x = picture(32, 28, 6)
    parts = [
        brute_style(backbone, x, content, [style], assignments, betas, "relative") for betas in ((1, 0, 0), (0, 1, 0))
    ]
    rest = ContentInput(content.image, content.masks[1:])
    parts.append(brute_style(backbone, x, rest, [style], assignments[1:], (0, 0, 1), "relative"))
    assert made(x).losses["style"] == pytest.approx(1.3 * sum(parts) / 3, rel=1e-9)


def test_exactly_four_cells_are_enough(backbone):
    """8×8 pixels are 2×2 cells of relu3_1, on both sides."""
    masks = corner(32, 32, 8, 8)
    style = StyleInput(picture(32, 32, 3), dict(zip(("dot", "rest"), masks, strict=True)))
    assignments = [alone("dot", 0, "dot"), alone("rest", 0, "rest")]
    content = ContentInput(picture(32, 32, 1), masks)
    made = build_objective(backbone, content, [style], assignments, config())
    assert made.notes == ()
    x = picture(32, 32, 6)
    expected = brute_style(backbone, x, content, [style], assignments, (1, 1, 1), "relative")
    assert made(x).losses["style"] == pytest.approx(1.3 * expected, rel=1e-9)


def test_a_blend_goes_on_without_a_source_that_is_too_small(backbone):
    """In relu3_1 the blend is all of the other source, with no weight lost."""
    content = ContentInput(picture(32, 32, 1), torch.ones(1, 32, 32, dtype=torch.float64))
    styles = [
        StyleInput(picture(24, 24, 3), dict(zip(("dot", "rest"), corner(24, 24, 5, 5), strict=True))),
        StyleInput(picture(24, 24, 4), {}),
    ]
    blend = [Assignment("dot", (Source(0, "dot", 0.6), Source(1, None, 0.4)))]
    made = build_objective(backbone, content, styles, blend, config())
    x = picture(32, 32, 6)
    parts = [brute_style(backbone, x, content, styles, blend, betas, "relative") for betas in ((1, 0, 0), (0, 1, 0))]
    parts.append(brute_style(backbone, x, content, styles, [alone("dot", 1)], (0, 0, 1), "relative"))
    assert made(x).losses["style"] == pytest.approx(1.3 * sum(parts) / 3, rel=1e-9)


def test_a_region_that_fits_no_layer_takes_the_style_term_with_it(backbone):
    content = ContentInput(picture(16, 16, 1), torch.ones(1, 16, 16, dtype=torch.float64))
    style = StyleInput(picture(16, 16, 3), {"dot": corner(16, 16, 1, 3)[0]})
    made = build_objective(backbone, content, [style], [alone("all", 0, "dot")], config())
    assert len(made.notes) == 3
    found = made(picture(16, 16, 6))
    assert set(found.losses) == {"content", "total"}
    assert torch.isfinite(found.gradient).all()
    assert made.scale == pytest.approx(0.7)


def test_a_region_that_is_nowhere_costs_nothing_and_pulls_nowhere(backbone):
    """A label that is absent is not pulled towards a zero Gram matrix."""
    masks = torch.stack([torch.ones(16, 16), torch.zeros(16, 16)]).double()
    content, style = ContentInput(picture(16, 16, 1), masks), StyleInput(picture(16, 16, 3), {})
    both = build_objective(backbone, content, [style], [alone("here"), alone("nowhere")], config())
    one = build_objective(backbone, ContentInput(content.image, masks[:1]), [style], [alone("here")], config())
    x = picture(16, 16, 6)
    assert both(x).losses == pytest.approx(one(x).losses, rel=1e-12)
    np.testing.assert_allclose(both(x).gradient, one(x).gradient, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_the_scale_is_the_loss_without_features(backbone, kind):
    content, styles, assignments = case()
    made = build_objective(backbone, content, styles, assignments, config(normalisation=kind))
    if kind == "relative":
        assert made.scale == pytest.approx(0.7 + 1.3, rel=1e-6)
    zeros = {name: torch.zeros_like(value) for name, value in made.network(content.image).items()}
    terms = [weight * function(content.image, zeros) for function, weight in made.terms.values() if weight]
    assert made.scale == pytest.approx(sum(terms).item(), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_never_negative(backbone, kind):
    content, styles, assignments = case()
    made = build_objective(backbone, content, styles, assignments, config(normalisation=kind))
    for seed in range(5):
        assert min(made(4 * picture(27, 31, seed) - 2).losses.values()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_twice_the_size_costs_about_the_same(backbone, kind):
    """Feature losses are means: tiles, so that the features are the same but near the seams and borders."""
    content, style = picture(32, 32, 1), picture(32, 32, 3)
    losses = []
    for factor in (1, 2):
        tiled = content.repeat(1, 1, factor, factor)
        given = ContentInput(tiled, torch.ones(1, *tiled.shape[-2:], dtype=torch.float64))
        styles = [StyleInput(style.repeat(1, 1, factor, factor), {})]
        made = build_objective(backbone, given, styles, [alone("all")], config(normalisation=kind))
        losses.append(made(picture(32, 32, 6).repeat(1, 1, factor, factor)).losses)
    assert losses[1]["content"] == pytest.approx(losses[0]["content"], rel=0.1)
    # A sum, or a wrong area, would make it 4 or 16 times as much.
    assert losses[1]["style"] == pytest.approx(losses[0]["style"], rel=0.5)
