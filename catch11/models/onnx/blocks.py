"""ONNX operators that exporters and optimisers write for whole blocks of a net, and rarer ones."""

from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from catch11.models.onnx.ops import Call, conv_pads, operator

for _name, _plain in {
    "IsNaN": torch.isnan,
    "Not": torch.logical_not,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Round": torch.round,
    "Sign": torch.sign,
    "Softsign": F.softsign,
}.items():
    operator(_name)(lambda call, f=_plain: f(call.x))  # type: ignore[misc]

for _name, _two in {
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "BiasGelu": lambda x, bias: F.gelu(x + bias),
}.items():
    operator(_name)(lambda call, f=_two: f(call.x, call.tensors[1]))  # type: ignore[misc]


def _all(call: Call) -> list[Tensor]:
    return [one for one in call.tensors if one is not None]


operator("Sum")(lambda call: reduce(torch.add, _all(call)))
operator("Mean")(lambda call: reduce(torch.add, _all(call)) / len(_all(call)))
operator("Max")(lambda call: reduce(torch.maximum, _all(call)))
operator("Min")(lambda call: reduce(torch.minimum, _all(call)))
operator("Selu")(lambda call: F.selu(call.x))
operator("Celu")(lambda call: F.celu(call.x, call.facts.get("alpha", 1.0)))
for _name, _steep in {"Swish": 1.0, "QuickGelu": 1.702}.items():
    operator(_name)(
        lambda call, f=_steep: call.x * torch.sigmoid(call.facts.get("alpha", f) * call.x)  # type: ignore[misc]
    )


@operator("FastGelu")
def _fast_gelu(call: Call) -> Tensor:
    return F.gelu(sum(_all(call)), approximate="tanh")  # type: ignore[arg-type]


@operator("Einsum")
def _einsum(call: Call) -> Tensor:
    return torch.einsum(call.facts["equation"], *_all(call))


@operator("FusedMatMul")
def _fused_matmul(call: Call) -> Tensor:
    a, b = _all(call)
    if call.facts.get("transBatchA", 0) or call.facts.get("transBatchB", 0):
        raise NotImplementedError("a FusedMatMul that transposes batches")
    a, b = (x.mT if call.facts.get(f"trans{n}", 0) else x for n, x in (("A", a), ("B", b)))
    return call.facts.get("alpha", 1.0) * (a @ b)


@operator("SkipLayerNormalization")
def _skip_norm(call: Call) -> Sequence[Tensor]:
    x, skip, gain, lift, bias = (*call.tensors, None, None)[:5]
    assert x is not None
    assert skip is not None
    joined = x + skip if bias is None else x + skip + bias
    normed = F.layer_norm(joined, joined.shape[-1:], gain, lift, call.facts.get("epsilon", 1e-12))
    return normed, joined.mean(-1), joined.var(-1), joined


@operator("RMSNormalization")
def _rms_norm(call: Call) -> Tensor:
    shape = call.x.shape[call.facts.get("axis", -1) % call.x.dim() :]
    return F.rms_norm(call.x, shape, call.given(1), call.facts.get("epsilon", 1e-5))


@operator("GroupNormalization")
def _group_norm(call: Call) -> Tensor:
    groups = call.facts["num_groups"]
    scale, lift = call.tensors[1:3]
    assert scale is not None
    assert lift is not None
    if call.opset < 21:  # one a group, before
        scale, lift = (x.repeat_interleave(call.x.shape[1] // groups) for x in (scale, lift))
    return F.group_norm(call.x, groups, scale, lift, call.facts.get("epsilon", 1e-5))


@operator("Attention")
def _attention(call: Call) -> Tensor:
    """Of four axes; of three, heads are cut from the last."""
    if "num_heads" in call.facts:
        raise NotImplementedError("an Attention of an optimiser's own")
    heads = call.facts.get("q_num_heads"), call.facts.get("kv_num_heads")
    q, k, v = _all(call)[:3]
    flat = q.dim() == 3
    if flat:
        q, k, v = (
            x.unflatten(-1, (n, -1)).transpose(1, 2)
            for x, n in ((q, heads[0]), (k, heads[1]), (v, heads[1]))
        )
    mask, causal = call.given(3), bool(call.facts.get("is_causal", 0))
    if any(one is not None for one in call.tensors[4:]) or call.facts.get("softcap", 0.0):
        raise NotImplementedError("an Attention with a past or a cap")
    made = F.scaled_dot_product_attention(
        q, k, v, mask, is_causal=causal, scale=call.facts.get("scale"), enable_gqa=k.shape[1] != q.shape[1]
    )  # fmt: skip
    return made.transpose(1, 2).flatten(2) if flat else made


@operator("ConvTranspose")
def _conv_transpose(call: Call) -> Tensor:
    weight, spatial = call.tensors[1], call.x.dim() - 2
    assert weight is not None
    facts = {n: list(call.facts.get(n, [1] * spatial)) for n in ("strides", "dilations")}
    pads = conv_pads({"pads": call.facts.get("pads", [0] * 2 * spatial)}, [0] * spatial, [1], [1])
    more = list(call.facts.get("output_padding", [0] * spatial))
    if call.facts.get("auto_pad", "NOTSET") not in ("NOTSET", "") or "output_shape" in call.facts:
        raise NotImplementedError("a ConvTranspose of a stated size")
    if any(a != b for a, b in pads):
        raise NotImplementedError("a ConvTranspose that pads unevenly")
    run = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[spatial]
    return run(
        call.x, weight, call.given(2), stride=facts["strides"], padding=[a for a, _ in pads],
        output_padding=more, groups=call.facts.get("group", 1), dilation=facts["dilations"],
    )  # fmt: skip


@operator("Resize", "Upsample")
def _resize(call: Call) -> Tensor:
    """The modes that torch has, by sizes or by whole scales."""
    mode, where = call.facts.get("mode", "nearest"), "half_pixel"
    where = call.facts.get("coordinate_transformation_mode", where)
    sizes, scales = call.whole(3, "sizes"), call.static(2)
    scales = call.static(1) if scales is None and len(call.tensors) == 2 else scales
    if not sizes:
        assert scales is not None
        sizes = [int(side * scale) for side, scale in zip(call.x.shape, scales, strict=True)]
    inner = sizes[2:]
    if tuple(sizes[:2]) != call.x.shape[:2] or call.facts.get("antialias", 0):
        raise NotImplementedError("a Resize of other axes than height and width")
    if mode == "nearest":
        whole = all(b % a == 0 for a, b in zip(call.x.shape[2:], inner, strict=True))
        if not whole:
            raise NotImplementedError("a Resize to the nearest pixel by no whole factor")
        return F.interpolate(call.x, size=inner, mode="nearest")
    if mode != "linear" or where not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise NotImplementedError(f"a Resize {mode}, {where}")
    kind = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(inner)]
    return F.interpolate(call.x, size=inner, mode=kind, align_corners=where == "align_corners")
