"""A loss term of one's own: paint a photograph, and pay for all that isn't symmetric.

python samples/own_loss.py CONTENT STYLE OUT.png [ITERATIONS]
"""

import sys

import torch

import photostyle
from photostyle.images import fit_longest_side, read_picture, resize, write_picture
from photostyle.images.tensors import to_array, to_tensor

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


def main(content: str, style: str, output: str, iterations: str = "40") -> None:
    """Optimise the pixels by Gram matrices, content and mirror symmetry."""
    pictures = [read_picture(path).rgb for path in (content, style)]
    x, s = (to_tensor(resize(rgb, fit_longest_side(rgb.shape[1::-1], 256))) for rgb in pictures)
    network = photostyle.load_backbone("vgg16", content_layers=("relu4_2",), style_layers=LAYERS)
    losses = photostyle.losses

    def grams(features):
        return {name: losses.masked_gram(features[name][0], torch.ones(features[name].shape[2:])) for name in LAYERS}

    with torch.no_grad():
        target, wanted = network(x)["relu4_2"], grams(network(s))
    x = x.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([x], max_iter=int(iterations), history_size=20, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        features = network(x)
        found = grams(features)
        total = sum(losses.gram_distance(found[name], wanted[name]).mean() for name in LAYERS) / len(LAYERS)
        total = total + 0.02 * losses.content_loss(features["relu4_2"], target)
        total = total + 3.0 * (x - x.flip(3)).square().mean()  # the term of one's own
        total.backward()
        return total

    optimizer.step(closure)
    write_picture(output, to_array(x), overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
