"""The options that say how pictures are recoded, and the recoder they ask for."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from torch import Tensor

    from catch11.key import Key
    from catch11.models.frame import Model
    from catch11.recode.frame import Recoder

_SPECTRAL, _DEEP = "Method spectral", "Method deep"

Method = Annotated[
    Literal["spectral", "deep"],
    typer.Option(
        help="spectral hides noise in what the first layer does not see; deep finds a picture near "
        "noise that the whole model answers alike, slower and harder to undo."
    ),
]
Psnr = Annotated[
    float,
    typer.Option(
        metavar="DB", help="Strength: lower is stronger; peak 1, as written.",
        rich_help_panel=_SPECTRAL,
    ),
]  # fmt: skip
Noise = Annotated[
    Literal["content", "gaussian", "sign", "structured"],
    typer.Option(help="The noise before it is projected.", rich_help_panel=_SPECTRAL),
]
Format = Annotated[
    Literal["png8", "png16", "tensor"],
    typer.Option(help="png8 is read by every stock pipeline; png16 and tensor keep more."),
]
At = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="What is matched: logits, features, a module's name, or several with "
        "weights (features,layer3*0.5).", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Start = Annotated[
    str,
    typer.Option(
        metavar="noise|spectral|DIR", help="Where the search starts; DIR holds decoy pictures.",
        rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Steps = Annotated[int, typer.Option(metavar="N", min=1, rich_help_panel=_DEEP, help="At most.")]
Radius = Annotated[
    str,
    typer.Option(
        metavar="R|auto", help="Largest change of the start in any pixel, in 255ths: smaller is "
        "harder to learn from, larger survives more.", rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Agree = Annotated[
    str,
    typer.Option(
        metavar="RULE", help="What of the answer must stay: top1, topk:K, kl<V or match<V.",
        rich_help_panel=_DEEP,
    ),
]  # fmt: skip
Margin = Annotated[float, typer.Option(metavar="M", help="Logits to spare.", rich_help_panel=_DEEP)]
Look = Annotated[
    Literal["noise", "decoy", "faint"],
    typer.Option(
        help="What people see: noise, the decoy, or the source faintly.", rich_help_panel=_DEEP
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The options of one run."""

    method: Literal["spectral", "deep"]
    format: Literal["png8", "png16", "tensor"]
    psnr: float
    noise: Literal["content", "gaussian", "sign", "structured"]
    at: str
    start: str
    steps: int
    radius: str
    agreement: str
    margin: float
    look: Literal["noise", "decoy", "faint"]

    def recoder(self, key: "Key", model: "Model | None") -> "Recoder":
        """The recoder; deep needs the model the key was built from. Raises InvalidArgument."""
        if self.method == "spectral":
            from catch11.recode.spectral import SpectralRecoder

            return SpectralRecoder(key, psnr=self.psnr, noise=self.noise, format=self.format)
        if model is None:
            raise InvalidArgument("--method deep", expected="--model MODEL beside it", found="none")
        from catch11.recode.deep import DeepRecoder

        return DeepRecoder(
            model, key, at=self.at, start=self._start(key), look=self.look, steps=self.steps,
            radius="auto" if self.radius == "auto" else _number(self.radius),
            agreement=self.agreement, margin=self.margin, format=self.format,
        )  # fmt: skip

    def _start(self, key: "Key") -> "Literal['noise', 'spectral'] | Tensor":
        if self.start == "noise":
            return "noise"
        if self.start == "spectral":
            return "spectral"
        from catch11.data.windows import folder_windows

        return folder_windows(Path(self.start), key.canvas)


def _number(radius: str) -> float:
    try:
        return float(radius)
    except ValueError:
        raise InvalidArgument("radius", expected="auto or a number", found=repr(radius)) from None
