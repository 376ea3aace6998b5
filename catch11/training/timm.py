"""Models of timm as nets to be trained, saved in the layout of timm's own hub folders."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from catch11.errors import ModelRefused
from catch11.fronts.find import first_tensor
from catch11.models.answer import first_line
from catch11.models.hub.timm import WEIGHTS, create, preparation
from catch11.training.net import Net


def timm_net(rest: str, classes: Sequence[str], size: int | None) -> Net:
    """NAME, with timm's pretrained weights, or NAME@WEIGHTS ("random": from nothing).

    Raises ModelRefused, CanvasRefused, MissingExtra."""
    name, _, weights = rest.partition("@")
    sides: dict[str, Any] = {} if size is None else {"img_size": size}
    try:
        module: Any = create(rest, num_classes=len(classes), **sides)
    except TypeError as error:  # a net of convolutions takes no size
        raise ModelRefused(f"timm:{rest}", first_line(error), "leave --size out") from None
    facts = {**module.pretrained_cfg, "label_names": list(classes)}
    if size is not None:
        facts["input_size"] = [3, size, size]
    module.pretrained_cfg = facts
    _, canvas, _ = preparation(module)

    def save(trained: nn.Module, folder: Path) -> None:
        tensors = {key: value.contiguous() for key, value in trained.state_dict().items()}
        save_file(tensors, folder / WEIGHTS)
        config = {"architecture": name, "num_classes": len(classes), "pretrained_cfg": facts}
        text = json.dumps(config, indent=2, default=str)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")

    def heads(asked: nn.Module, values: Tensor) -> tuple[Tensor, ...]:
        return (first_tensor(asked(values)),)

    return Net(
        module=module, canvas=canvas, heads=heads, save=save, tuned=weights != "random",
        spec=lambda folder: f"timm:{name}@{folder / WEIGHTS}",
    )  # fmt: skip
