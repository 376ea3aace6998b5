"""The nets that can be trained: families from configuration, folders of transformers, models of timm."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from catch11.errors import InvalidArgument, ModelRefused
from catch11.fronts.find import first_tensor
from catch11.training.families import FAMILIES, settings
from catch11.training.net import Net

KINDS = "resnet, vit, deit, swinv2, mambavision, hf:DIR or timm:NAME"
SMALL = 128  # pixels of a side below which a family takes its small form
PREPARATION = "preprocessor_config.json"
MEAN, STD = (
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
)  # of ImageNet, as published checkpoints use


def build_net(
    arch: str, classes: Sequence[str], *, size: int | None, teacher: bool, seed: int
) -> Net:
    """A net of `arch` for these classes. size: pixels of a side; 32 or the folder's own without it.
    teacher: whether it will have one, which gives a deit its second head.

    Raises InvalidArgument for an unknown family or size, ModelRefused for a checkpoint of another shape.
    """
    kind, _, rest = arch.partition(":")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "hf" and rest:
            return _folder(rest, classes, size)
        if kind == "timm" and rest:
            from catch11.training.timm import timm_net

            return timm_net(rest, classes, size)
        if arch not in FAMILIES:
            raise InvalidArgument("arch", expected=KINDS, found=arch)
        return _family(arch, classes, size or 32, teacher)


def _family(arch: Any, classes: Sequence[str], size: int, teacher: bool) -> Net:
    if size % 32 or size < 32:
        raise InvalidArgument("size", expected="a multiple of 32 pixels", found=size)
    from transformers import AutoConfig

    from catch11.models.hub import mambavision

    mambavision.register()
    values = settings(arch, small=size < SMALL)
    sides = {} if arch in ("resnet", "mambavision") else {"image_size": size}
    config = AutoConfig.for_model(arch, **values, **sides, **_named(classes))
    module = _of_config(config, distilled=arch == "deit" and teacher)
    if size < SMALL and arch in ("vit", "deit"):
        module.set_attn_implementation("eager")  # of few tokens: the fused one is slow in bfloat16
    side = size if size < SMALL else size * 8 // 7
    preparation = {
        "image_processor_type": "BitImageProcessor", "do_resize": True,
        "size": {"shortest_edge": side}, "resample": 3, "do_center_crop": True,
        "crop_size": {"height": size, "width": size}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": MEAN, "image_std": STD,
    }  # fmt: skip
    return _transformers(module, lambda folder: _write(folder, preparation), preparation)


def _of_config(config: Any, *, distilled: bool) -> Any:
    from transformers import AutoModelForImageClassification, DeiTForImageClassificationWithTeacher

    if distilled:
        return DeiTForImageClassificationWithTeacher(config)
    return AutoModelForImageClassification.from_config(config)


def _named(classes: Sequence[str]) -> dict[str, Any]:
    return {
        "id2label": dict(enumerate(classes)),
        "label2id": {name: index for index, name in enumerate(classes)},
    }


def _write(folder: Path, preparation: dict[str, Any]) -> None:
    (folder / PREPARATION).write_text(json.dumps(preparation, indent=2) + "\n", encoding="utf-8")


def _transformers(
    module: Any,
    prepare: Callable[[Path], None],
    preparation: dict[str, Any],
    *,
    tuned: bool = False,
) -> Net:
    from catch11.models.hub.pictures import processor_canvas
    from catch11.models.hub.transformers import load_processor

    with TemporaryDirectory() as folder:
        _write(Path(folder), preparation)
        canvas, _ = processor_canvas(load_processor(folder))

    def heads(asked: nn.Module, values: Tensor) -> tuple[Tensor, ...]:
        out = asked(values)
        if "distillation_logits" in out:
            return out["cls_logits"], out["distillation_logits"]
        return (first_tensor(out),)

    def save(trained: Any, folder: Path) -> None:
        trained.save_pretrained(folder)
        prepare(folder)

    return Net(
        module=module, canvas=canvas, heads=heads, save=save, spec=lambda folder: f"hf:{folder}",
        tuned=tuned,
    )  # fmt: skip


def _folder(rest: str, classes: Sequence[str], size: int | None) -> Net:
    """A transformers folder, its head drawn anew where it has other classes."""
    from transformers import AutoConfig, AutoModelForImageClassification

    from catch11.models.hub import mambavision
    from catch11.models.hub.transformers import call_loader, hub_file

    spec = f"hf:{rest}"
    mambavision.register()
    old = call_loader(spec, AutoConfig.from_pretrained, rest, allow_code=False)
    sides = {} if size is None else {"image_size": size}
    module, info = call_loader(
        spec, AutoModelForImageClassification.from_pretrained, rest,
        allow_code=False, dtype=torch.float32, weights_only=True,
        ignore_mismatched_sizes=True, output_loading_info=True, **_named(classes), **sides,
    )  # fmt: skip
    _check_fits(spec, info, old.num_labels, len(classes))
    path = hub_file(rest, PREPARATION)
    if path is None:
        raise ModelRefused(spec, f"it has no {PREPARATION}", "add one")
    preparation = json.loads(path.read_text(encoding="utf-8"))
    return _transformers(
        module, lambda folder: _copy(path, folder / PREPARATION), preparation, tuned=True
    )


def _copy(path: Path, target: Path) -> None:
    if path.resolve() != target.resolve():
        shutil.copyfile(path, target)


def _check_fits(spec: str, info: dict[str, Any], before: int, classes: int) -> None:
    """Raises ModelRefused where a weight beyond the head has another shape than asked for."""
    for key, stored, wanted in sorted(info.get("mismatched_keys", ())):
        if (stored[0], wanted[0]) != (before, classes) or before == classes:
            reason = f"its {key} is {tuple(stored)} and {tuple(wanted)} is asked for"
            raise ModelRefused(spec, reason, "leave --size out, or give a checkpoint of that size")
    missing = sorted(set(info.get("missing_keys", ())))
    if missing and before == classes:
        raise ModelRefused(spec, f"{len(missing)} weights are not in its files, first {missing[0]}")
