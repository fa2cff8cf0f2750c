"""What is to be seen in a picture: classifiers by name, each with its own preprocessing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from av_tagger.clip import Frames, Images, Rows
from av_tagger.errors import UsageError, WeightsError, did_you_mean, missing_library, sentence
from av_tagger.networks import MicroBatch, fold, upload
from av_tagger.scores import BranchInfo, Heat, Status
from av_tagger.state_file import AGAIN, check_finite, read_state, safetensors_shapes
from av_tagger.video.activation import activation_maps, central_area, heat_of
from av_tagger.video.alexnet import Geometry
from av_tagger.video.card_frames import rgb_on, together
from av_tagger.video.features import Compute
from av_tagger.video.imagenet import object_names
from av_tagger.video.lite import GEOMETRY, EfficientNetLite2, meta_lite2
from av_tagger.video.pixels import by_pillow, prepare_rgb

FEWEST_WEIGHTS = 16  # a filter
MODES = ("bilinear", "bicubic")  # that torch resizes as Pillow does

Floats = NDArray[np.float32]
Transform = Callable[[Any], Tensor]  # a Pillow picture to a normalised (3, h, w)


@dataclass(frozen=True)
class Classifier:
    """A network without its weights, and how it wants to look at pictures."""

    network: nn.Module
    transform: Transform | None  # None where the geometry says it all
    objects: tuple[str, ...]
    short_side: int  # what the transform resizes to: more pixels do not help
    geometry: Geometry | None = None  # the transform as plain steps, which can run in batches


class NetworkRecogniser:
    """A `Recogniser` of any classifier; takes the network over and folds its batch norms."""

    def __init__(
        self, name: str, classifier: Classifier, how: Compute, weights: str | None = None
    ) -> None:
        self.name = name
        network = fold(classifier.network).requires_grad_(requires_grad=False)
        self.how = replace(
            how, dtype=how.dtype if bears_rounding(network) else torch.float32, int8=False
        )
        self.network = network.to(how.device, self.how.dtype).to(memory_format=torch.channels_last)
        self.classifier = classifier
        self.batch = MicroBatch(how.batch)
        self._branch = BranchInfo(Status.OK, name, weights)

    @property
    def objects(self) -> tuple[str, ...]:
        return self.classifier.objects

    @property
    def short_side(self) -> int:
        return self.classifier.short_side

    @property
    def info(self) -> BranchInfo:
        return self._branch

    def recognise(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(images, objects) probabilities, from batches laid end to end."""
        if self.classifier.geometry is None:
            pictures = [self._transformed(image) for image in images]
            return self._probabilities(torch.stack(pictures) if pictures else torch.empty(0))
        groups = _alike([image.shape for image in images])
        stacks = (np.stack([images[i] for i in group]) for group in groups)
        films = [Frames(stack, np.zeros(len(stack))) for stack in stacks]
        found = self.recognise_frames(films, [np.arange(len(film)) for film in films])
        return found[np.argsort(np.concatenate(groups), kind="stable")] if groups else found

    @property
    def reads_frames(self) -> bool:
        """Frames as they were decoded, where another device than the CPU converts the colours."""
        return self.classifier.geometry is not None and self.how.device.type != "cpu"

    def recognise_frames(self, films: Sequence[Frames], rows: Sequence[Rows]) -> Floats:
        """(rows of all films, objects) probabilities; pictures of one form are prepared at once."""
        groups = _alike([(type(f), f.images.shape[1:], f.luma) for f in films])
        parts = [self._prepared([films[i] for i in g], [rows[i] for i in g]) for g in groups]
        found = self._probabilities(torch.cat(parts) if len(parts) != 1 else parts[0])
        if len(groups) < 2:
            return found
        ends = np.cumsum([len(rows[i]) for group in groups for i in group])[:-1]
        by_film = dict(zip(itertools.chain(*groups), np.split(found, ends), strict=True))
        return np.concatenate([by_film[i] for i in range(len(films))])

    def _prepared(self, films: Sequence[Frames], rows: Sequence[Rows]) -> Tensor:
        """(n, 3, crop, crop) uint8 of some rows of films of one form, on the device."""
        assert self.classifier.geometry is not None
        if self.how.device.type == "cpu":
            return by_pillow(together(films, rows).rgb(), self.classifier.geometry)
        pixels = rgb_on(films, rows, self.how.device)
        return prepare_rgb(pixels, self.classifier.geometry)

    def _transformed(self, image: Images) -> Tensor:
        """By the library's own steps, picture by picture: for a transform that is not plain."""
        from PIL import Image

        assert self.classifier.transform is not None
        return self.classifier.transform(Image.fromarray(image))

    def _probabilities(self, pictures: Tensor) -> Floats:
        """(pictures, objects) of prepared pictures, either uint8 or normalised already."""
        if not len(pictures):
            return np.empty((0, len(self.objects)), dtype=np.float32)
        found = self.batch.run(lambda size: self._in_batches(pictures, size))
        probabilities: Floats = found.cpu().numpy()
        return probabilities

    def _in_batches(self, pictures: Tensor, size: int) -> Tensor:
        found = [self._forward(part) for part in torch.split(pictures, size)]
        return found[0] if len(found) == 1 else torch.cat(found)

    @torch.no_grad()
    def _forward(self, x: Tensor) -> Tensor:
        probabilities: Tensor = self.network(self._input(x)).float().softmax(dim=1)
        return probabilities

    def _input(self, x: Tensor) -> Tensor:
        """Prepared pictures as the network takes them."""
        x = upload(x, self.how.device)
        geometry = self.classifier.geometry
        if geometry is not None and x.dtype == torch.uint8:
            x = normalised(x, geometry)
        return x.to(self.how.dtype, memory_format=torch.channels_last)

    def where(self, image: Images, objects: Sequence[int]) -> list[Heat | None]:
        """Where in a picture each object is seen; None where this network has no such map."""
        geometry = self.classifier.geometry
        if geometry is None or not objects:
            return [None] * len(objects)
        x = self._input(by_pillow(image[None], geometry))
        maps = activation_maps(self.network, x, objects)
        if maps is None:
            return [None] * len(objects)
        height, width = image.shape[:2]
        area = central_area(height, width, geometry.resize, geometry.crop)
        return [heat_of(one, area) for one in maps]


def normalised(x: Tensor, geometry: Geometry) -> Tensor:
    """uint8 pixels to float32, as ToTensor and Normalize give them."""
    mean, std = (
        torch.tensor(values, device=x.device)[:, None, None]
        for values in (geometry.mean, geometry.std)
    )
    return (x.float().div_(255)).sub_(mean).div_(std)


def _alike(forms: Sequence[Hashable]) -> list[list[int]]:
    """Places of equal forms, in the order in which each form comes first."""
    places: dict[Hashable, list[int]] = {}
    for i, form in enumerate(forms):
        places.setdefault(form, []).append(i)
    return list(places.values())


def bears_rounding(network: nn.Module) -> bool:
    """Whether half precision is good enough: rounding averages out over many weights, not over the
    nine of a depthwise filter.
    """
    return all(
        m.weight[0].numel() >= FEWEST_WEIGHTS for m in network.modules() if isinstance(m, nn.Conv2d)
    )


def load_recogniser(
    name: str, path: Path, compute: Compute, filename: str | None = None
) -> NetworkRecogniser:
    """A classifier of timm (`inception_v4`) or of torchvision (`torchvision:squeezenet1_0`).

    Its weights must fit strictly; `filename` is how results name the file.
    """
    classifier = build_classifier(name)
    load_strictly(classifier.network, path)
    return NetworkRecogniser(name, classifier, compute, filename or path.name)


def build_classifier(name: str) -> Classifier:
    """The named network, without weights: no library is ever asked to fetch any."""
    library, _, architecture = name.rpartition(":")
    if (library or "timm") not in LIBRARIES:
        raise UsageError(
            f"there is no library {library!r} of classifiers; {did_you_mean(library, LIBRARIES)}"
        )
    return LIBRARIES[library or "timm"](architecture)


def load_strictly(network: nn.Module, path: Path) -> None:
    """Every tensor of the file fits, and none is missing; a background class in front of the 1000
    is cut off.
    """
    state = read_state(path)
    expected = network.state_dict()
    state = {key: _without_background(value, expected.get(key)) for key, value in state.items()}
    put_strictly(network, state, path)


def put_strictly(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """These tensors of a file become those of the network, which may be on the meta device; all
    must be finite numbers.
    """
    check_finite(path, state)
    places = network.state_dict()
    empty = any(place.is_meta for place in places.values())
    if empty:
        state = {k: v.to(places[k].dtype) if k in places else v for k, v in state.items()}
    try:
        network.load_state_dict(state, strict=True, assign=empty)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        remedy = "choose the network these weights were made for"
        raise WeightsError(
            sentence(path, f"does not fit the network ({reason})", remedy)
        ) from error


def check_inception_v4(path: Path) -> None:
    """Refuse what is not the published Inception-v4 in the safetensors format, by its header."""
    with torch.device("meta"):
        network, _ = timm_network("inception_v4")
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = safetensors_shapes(path)
    if found != expected:
        reason = "is not a safetensors file" if found is None else "is not Inception-v4"
        raise WeightsError(sentence(path, reason, AGAIN))


def _without_background(value: Tensor, expected: Tensor | None) -> Tensor:
    """TensorFlow's classifiers have a class 0, "background": the official files of Inception-v4
    hold 1001 rows.
    """
    extra = (
        expected is not None
        and value.ndim > 0
        and expected.ndim == value.ndim
        and len(value) == len(expected) + 1
    )
    return value[1:] if extra and len(value) == 1001 else value


def lite2_classifier(network: EfficientNetLite2 | None = None) -> Classifier:
    """EfficientNet-Lite2, which needs no library of networks; by default without weights."""
    network = network or meta_lite2()
    return Classifier(network, None, object_names(), GEOMETRY.resize, GEOMETRY)


def _of_timm(architecture: str) -> Classifier:
    network, config = timm_network(architecture)
    from timm.data import create_transform

    transform = create_transform(**config, is_training=False)
    side = int(config["input_size"][1] / config["crop_pct"])
    objects = object_names(network.num_classes)
    return Classifier(network, transform, objects, side, _geometry_of_timm(config, side))


def _geometry_of_timm(config: Mapping[str, Any], side: int) -> Geometry | None:
    """None where the transform is more than a resize, a central crop and a normalisation."""
    _, height, width = config["input_size"]
    mode, plain = config["interpolation"], config.get("crop_mode", "center") == "center"
    if not plain or height != width or mode not in MODES:
        return None
    return Geometry(side, height, tuple(config["mean"]), tuple(config["std"]), mode)


def check_architecture(library: str, architecture: str) -> None:
    """Refuse a network that timm or torchvision does not have."""
    package = _import(library, architecture)
    known = package.list_models(module=package) if library == "torchvision" else []
    if architecture in known or (library == "timm" and package.is_model(architecture)):
        return
    hint = did_you_mean(architecture, known or package.list_models())
    raise UsageError(f"{library} has no network {architecture!r}; {hint}")


def _import(library: str, architecture: str) -> Any:
    try:
        return import_module({"timm": "timm", "torchvision": "torchvision.models"}[library])
    except Exception as error:  # torchvision of another torch raises RuntimeError
        need = f"the network {architecture!r} needs"
        raise missing_library(need, library, ImportError(str(error))) from error


def timm_network(architecture: str, **arguments: Any) -> tuple[nn.Module, Mapping[str, Any]]:
    """A network of timm without weights, and its own preprocessing."""
    check_architecture("timm", architecture)
    timm = _import("timm", architecture)
    network: nn.Module = timm.create_model(architecture, pretrained=False, **arguments)
    config: Mapping[str, Any] = timm.data.resolve_model_data_config(network)
    return network, config


def _of_torchvision(architecture: str) -> Classifier:
    check_architecture("torchvision", architecture)
    models = _import("torchvision", architecture)
    network = models.get_model(architecture, weights=None)
    transform = models.get_model_weights(architecture).DEFAULT.transforms()
    (side,), (crop,) = transform.resize_size, transform.crop_size
    mode, mean, std = transform.interpolation.value, tuple(transform.mean), tuple(transform.std)
    geometry = Geometry(side, crop, mean, std, mode) if mode in MODES else None
    return Classifier(network, transform, object_names(1000), side, geometry)


LIBRARIES: dict[str, Callable[[str], Classifier]] = {
    "timm": _of_timm,
    "torchvision": _of_torchvision,
}
