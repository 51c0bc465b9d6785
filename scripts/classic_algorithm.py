"""The classic algorithm of style transfer, to measure ours against: Gatys et al. (2016) as neural-style-pt runs it.

One size, PyTorch's L-BFGS with a history of 100 pairs, steps of length one and no line search, through a plain network:
a VGG of torch.nn.Conv2d in torch's usual memory layout. Content and style by the paper's formulas are computed by ours,
with the options below; only the network is replaced, so that no shortcut of ours takes part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from photostyle.images import fit_longest_side, resize
from photostyle.images.tensors import to_tensor
from photostyle.networks.vgg import computes_half, layer_names, preprocess
from photostyle.networks.weights import Weights
from photostyle.objective.build import Problem
from photostyle.objective.total import Evaluation
from photostyle.preparation import Prepared

__all__ = ["HISTORY", "OPTIONS", "PlainVGG", "minimise", "plain_network", "plain_problem"]

HISTORY = 100
"""Pairs that L-BFGS remembers."""

OPTIONS = {"normalisation": "papers", "gamut_weight": 0.0, "padding": "zeros"}
"""Options of a transfer with which its objective is the classic one; all other terms have no weight by default."""

_TOLERANCE = 1e-3
_HALF_TOLERANCE = 3e-2
_CHECKED_SIDE = 128


class PlainVGG(nn.Module):
    """A VGG as everybody writes it: convolutions, ReLUs in place, poolings.

    Parameters
    ----------
    weights : Weights
    layers : sequence of str
        The names of the layers to return.
    pooling : str
        "average" or "max".
    """

    def __init__(self, weights: Weights, layers: Sequence[str], pooling: str) -> None:
        super().__init__()
        names = layer_names(weights.architecture)
        self.layers, self.preprocessing = frozenset(layers), weights.preprocessing
        self.stack = nn.ModuleDict()
        for name in names[: 1 + max(names.index(layer) for layer in layers)]:
            position = name[4:]
            if name.startswith("relu"):
                self.stack[name] = nn.ReLU(inplace=f"conv{position}" not in self.layers)
                continue
            if position.endswith("_1") and position != "1_1":
                self.stack[f"pool{position}"] = nn.AvgPool2d(2) if pooling == "average" else nn.MaxPool2d(2)
            kernel, bias = weights.tensors[f"{name}.weight"], weights.tensors[f"{name}.bias"]
            convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
            convolution.load_state_dict({"weight": kernel, "bias": bias}, assign=True)
            self.stack[name] = convolution
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the features of a picture, sRGB in [0, 1] of shape (1, 3, H, W), by layer."""
        features = {}
        x = preprocess(x, self.preprocessing)
        for name, module in self.stack.items():
            x = module(x)
            if name in self.layers:
                features[name] = x
        return features


def plain_network(prepared: Prepared) -> PlainVGG:
    """Return the plain network of a transfer, checked against the one that the transfer uses.

    Parameters
    ----------
    prepared : Prepared
        With a VGG, and zeros beyond the border.

    Raises
    ------
    ValueError
        If the backbone is no VGG.
    RuntimeError
        If a layer differs from the backbone's by more than a thousandth of its largest value; in bfloat16, where its
        convolutions are rounded to eight bits, by more than three hundredths.
    """
    problem, backbone = prepared.problem, prepared.problem.backbone
    if backbone.weights is None:
        raise ValueError(f"the backbone is {backbone.name}, but the classic algorithm needs vgg16 or vgg19")
    layers = tuple(dict.fromkeys((*backbone.content_layers, *backbone.style_layers)))
    plain = PlainVGG(backbone.weights, layers, prepared.config.pooling).to(problem.device)
    height, width = problem.content.shape[:2]
    small = resize(problem.content, fit_longest_side((width, height), min(_CHECKED_SIDE, max(width, height))))
    # Without the 10-bit products of a GPU, which are no part of the question.
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        x = to_tensor(small, problem.device)
        ours, theirs = backbone(x), plain(x)
    tolerance = _HALF_TOLERANCE if computes_half(problem.device) else _TOLERANCE
    for layer in layers:
        difference = float((ours[layer] - theirs[layer]).abs().max() / theirs[layer].abs().max())
        if not difference <= tolerance:
            raise RuntimeError(f"{layer} of the plain network differs by {difference:.2g}; allowed is {tolerance}")
    return plain


def plain_problem(prepared: Prepared) -> Problem:
    """Return the problem of a transfer with the plain network in place of ours, for its targets too."""
    backbone = replace(prepared.problem.backbone, network=plain_network(prepared))
    return replace(prepared.problem, backbone=backbone)


def minimise(
    objective: Callable[[Tensor], Evaluation], start: Tensor, iterations: int, visit: Callable[[int, Tensor], None]
) -> None:
    """Minimise an objective as the classic implementations do.

    PyTorch's steps depend on the scale of the loss in one thing: pairs with a product of gradients and steps below
    1e-10 are forgotten. From noise, with the weights of the papers, the first has 6e-3 at 96 px and 7e-6 at 512.

    Parameters
    ----------
    objective : callable
        Such as an :class:`~photostyle.objective.total.Objective`.
    start : Tensor, shape (1, 3, H, W)
        It isn't changed.
    iterations : int
        Evaluations of the objective, and steps.
    visit : callable
        Called with the number of steps so far and the picture, not clipped, before each step and after the last.

    Raises
    ------
    FloatingPointError
        If the loss isn't finite any more: without a line search that happens.
    """
    x = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x], lr=1, max_iter=iterations, history_size=HISTORY, tolerance_grad=-1, tolerance_change=-1
    )
    done = 0

    def closure() -> float:
        nonlocal done
        visit(done, x.detach())
        at = objective(x)
        if not math.isfinite(at.total):
            raise FloatingPointError(f"the loss isn't finite any more after {done} iterations")
        x.grad = at.gradient
        done += 1
        return at.total

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    visit(done, x.detach())
