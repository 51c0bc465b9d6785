"""Any torchvision classifier as a source of features, by its name and the names of its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from photostyle.errors import UsageError, WeightsError
from photostyle.networks.cache import check_pin, is_offline
from photostyle.networks.fetch import fetch_hub_file, hub_path
from photostyle.networks.registry import PREPROCESSINGS
from photostyle.networks.vgg import preprocess
from photostyle.networks.weights import read_state_dict
from photostyle.progress import Callback, ignore


class Classifier(nn.Module):
    """Features of a torchvision classifier through ``create_feature_extractor``.

    Layers are names of nodes; an inner module's name means its last node. ``weights`` is a file with the state dict, or
    None for torchvision's default ones; with "average" ``pooling`` its max-pooling modules average. An unknown
    classifier or node is a `UsageError`, weights that can't be had or don't fit are a `WeightsError`.
    """

    def __init__(
        self,
        name: str,
        layers: Sequence[str],
        weights: str | None = None,
        pooling: str = "average",
        preprocessing: str | None = None,
        offline: bool = False,
        callback: Callback = ignore,
    ) -> None:
        super().__init__()
        import torchvision.models
        from torchvision.models import get_model, list_models
        from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

        if name not in list_models(module=torchvision.models):
            raise UsageError(
                f"backbone {name!r} is unknown; allowed are vgg16, hed, vgg19 and torchvision's "
                "classifiers (such as resnet50)"
            )
        model = get_model(name, weights=None)
        state, self.sha256, self.origin = _state(name, weights, offline, callback)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(f"weights {self.origin} don't fit the backbone {name}: {reason}") from None
        if pooling == "average":
            _average_pooling(model)
        nodes = get_graph_node_names(model)[1]
        for layer in layers:
            if layer not in nodes and not any(node.startswith(f"{layer}.") for node in nodes):
                some = ", ".join(nodes[1:8])
                raise UsageError(f"layer {layer!r} is unknown; {name} has {len(nodes)} nodes: {some}, …")
        self.layers = frozenset(layers)
        self.extractor = create_feature_extractor(model.eval(), return_nodes=list(layers))
        # A ReLU in place would change the response that is kept before it.
        for module in self.extractor.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        for node in self.extractor.graph.nodes:
            if node.kwargs.get("inplace"):
                node.update_kwarg("inplace", False)
        self.extractor.recompile()
        self.preprocessing = PREPROCESSINGS[preprocessing or "torchvision"]
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the features of a picture, sRGB in [0, 1] of shape (N, 3, H, W), for each layer asked for."""
        features: dict[str, Tensor] = self.extractor(preprocess(x, self.preprocessing))
        if len(features) < len(self.layers):
            missing = min(self.layers - set(features))
            raise UsageError(
                f"layer {missing!r} is another name of a layer that is named already: leave one of them out"
            )
        for layer, value in features.items():
            if value.dim() != 4:
                raise UsageError(f"layer {layer!r} gives shape {tuple(value.shape)}, but a feature map is needed")
        return features


def _state(name: str, weights: str | None, offline: bool, callback: Callback) -> tuple[Mapping[str, Tensor], str, str]:
    """Give the tensors of a file, or of torchvision's weights, with the file's SHA-256 and where they come from."""
    if weights is not None:
        tensors, _, sha256 = read_state_dict(Path(weights))
        return tensors, sha256, weights
    from torchvision.models import get_model_weights

    chosen = next(iter(get_model_weights(name)))
    path = hub_path(chosen.url.rsplit("/", 1)[1])
    if not path.is_file():
        if is_offline(offline):
            raise WeightsError(
                f"{name} needs torchvision's weights, but --offline forbids fetching, and {path} does not exist: "
                "give --weights FILE"
            )
        fetch_hub_file(name, str(chosen), None, callback)
    tensors, _, sha256 = read_state_dict(path)
    check_pin(path.name, sha256, callback)
    return tensors, sha256, str(chosen)


def _average_pooling(model: nn.Module) -> None:
    """Replace each max-pooling module by an average pooling of the same shape.

    What lies beyond the border isn't averaged in, as it can't be a maximum: its zeros would be a dark rim.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.MaxPool2d):
                shape = child.kernel_size, child.stride, child.padding, child.ceil_mode
                setattr(parent, name, nn.AvgPool2d(*shape, count_include_pad=False))
