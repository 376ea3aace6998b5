"""ONNX operators that move, cut, join and quantise tensors, registered with the others."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from catch11.models.onnx.ops import Call, operator

LARGEST_PAD = 1 << 12


@operator("Pad")
def _pad(call: Call) -> Tensor:
    mode = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}[
        call.facts.get("mode", "constant")
    ]
    pads, axes = call.whole(1, "pads"), call.whole(3, "axes")
    assert pads is not None
    if max(pads) > LARGEST_PAD:
        raise ValueError(f"a Pad adds more than {LARGEST_PAD} pixels")
    half = len(pads) // 2
    pairs = [(0, 0)] * call.x.dim()
    for place, axis in enumerate(axes if axes is not None else range(half)):
        pairs[axis] = (pads[place], pads[half + place])
    flat = [side for pair in reversed(pairs) for side in pair]
    if mode == "constant":
        return F.pad(call.x, flat, value=call.number(2, "value", 0.0) or 0.0)
    while flat[-2:] == [0, 0]:  # torch reflects the last axes only
        flat = flat[:-2]
    return F.pad(call.x, flat, mode=mode) if flat else call.x


@operator("Reshape")
def _reshape(call: Call) -> Tensor:
    sides = call.whole(1, "shape") or []
    keep = not call.facts.get("allowzero", 0)
    return call.x.reshape([call.x.shape[i] if s == 0 and keep else s for i, s in enumerate(sides)])


@operator("Flatten")
def _flatten(call: Call) -> Tensor:
    axis = call.facts.get("axis", 1)
    axis = axis + call.x.dim() if axis < 0 else axis
    return call.x.reshape(int(np.prod(call.x.shape[:axis], dtype=np.int64)), -1)


@operator("Transpose")
def _transpose(call: Call) -> Tensor:
    return call.x.permute(call.facts.get("perm", list(range(call.x.dim()))[::-1]))


@operator("Squeeze")
def _squeeze(call: Call) -> Tensor:
    axes = call.whole(1, "axes")
    return call.x.squeeze() if axes is None else call.x.squeeze(tuple(axes))


@operator("Unsqueeze")
def _unsqueeze(call: Call) -> Tensor:
    axes = call.whole(1, "axes") or []
    rank = call.x.dim() + len(axes)
    x = call.x
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator("Concat")
def _concat(call: Call) -> Tensor:
    return torch.cat([one for one in call.tensors if one is not None], dim=call.facts["axis"])


@operator("Split")
def _split(call: Call) -> Sequence[Tensor]:
    axis = call.facts.get("axis", 0)
    sizes = call.whole(1, "split")
    if sizes is None:
        size = -(-call.x.shape[axis] // call.facts.get("num_outputs", call.outputs))
        return call.x.split(size, dim=axis)
    return call.x.split(sizes, dim=axis)


@operator("Slice")
def _slice(call: Call) -> Tensor:
    starts, ends = call.whole(1, "starts") or [], call.whole(2, "ends") or []
    axes = call.whole(3, "axes") or list(range(len(starts)))
    steps = call.whole(4, "steps") or [1] * len(starts)
    x = call.x
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places = range(x.shape[axis])[
            slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
        ]
        if step == 1:
            x = x.narrow(axis, places.start if len(places) else 0, len(places))
        else:
            x = x.index_select(axis, torch.tensor(list(places), device=x.device, dtype=torch.int64))
    return x


@operator("Gather")
def _gather(call: Call) -> Tensor:
    places = call.static(1)
    assert places is not None, "the positions of a Gather are static"
    axis = call.facts.get("axis", 0) % call.x.dim()
    index = torch.from_numpy(np.array(places, dtype=np.int64)) % call.x.shape[axis]
    picked = call.x.index_select(axis, index.reshape(-1).to(call.x.device))
    return picked.reshape(*call.x.shape[:axis], *places.shape, *call.x.shape[axis + 1 :])


@operator("GatherND")
def _gather_nd(call: Call) -> Tensor:
    places = call.static(1)
    if places is None or call.facts.get("batch_dims", 0):
        raise NotImplementedError("a GatherND by computed positions")
    columns = torch.from_numpy(np.moveaxis(np.asarray(places, dtype=np.int64), -1, 0).copy())
    return call.x[tuple(columns.to(call.x.device))]


@operator("SpaceToDepth")
def _space_to_depth(call: Call) -> Tensor:
    n = call.facts["blocksize"]
    return rearrange(call.x, "b c (h y) (w x) -> b (y x c) h w", y=n, x=n)


@operator("DepthToSpace")
def _depth_to_space(call: Call) -> Tensor:
    n = call.facts["blocksize"]
    channels = "(c y x)" if call.facts.get("mode", "DCR") == "CRD" else "(y x c)"
    return rearrange(call.x, f"b {channels} h w -> b c (h y) (w x)", y=n, x=n)


@operator("Expand")
def _expand(call: Call) -> Tensor:
    return call.x.expand(torch.broadcast_shapes(call.x.shape, tuple(call.whole(1, "shape") or ())))


@operator("Where")
def _where(call: Call) -> Tensor:
    condition, yes, no = (one for one in call.tensors if one is not None)
    return torch.where(condition.bool(), yes, no)


@operator("Cast")
def _cast(call: Call) -> Tensor:
    """Of floats into floats nothing: the precision is the module's."""
    if call.facts["to"] not in (1, 10, 11, 16):  # float, float16, double, bfloat16
        raise ValueError("a Cast to whole numbers rounds the pixels and has no gradient")
    return call.x if call.x.is_floating_point() else call.x.float()


@operator("QuantizeLinear")
def _quantise(call: Call) -> Tensor:
    """Kept in float; rounded with the gradient passed straight through."""
    scale, zero = _scale(call)
    if call.exact:
        return call.x / scale + zero
    bounds = call.static(2)
    kind = np.uint8 if bounds is None else bounds.dtype
    low, high = (
        (np.iinfo(kind).min, np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else (-128, 127)
    )
    exact = (call.x / scale + zero).clamp(float(low), float(high))
    return exact + (exact.round() - exact).detach()


@operator("DequantizeLinear")
def _dequantise(call: Call) -> Tensor:
    scale, zero = _scale(call)
    return (call.x - zero) * scale


def _scale(call: Call) -> tuple[Tensor, Tensor]:
    scale, zero = call.static(1), call.static(2)
    assert scale is not None
    shape = [1] * call.x.dim()
    if scale.size > 1:
        shape[call.facts.get("axis", 1) % call.x.dim()] = scale.size
    zeros = np.zeros(scale.size) if zero is None else np.asarray(zero, dtype=np.float64).reshape(-1)
    values = (np.asarray(scale, dtype=np.float64).reshape(-1), zeros)
    one, two = (torch.from_numpy(np.ascontiguousarray(v)).to(call.x).reshape(shape) for v in values)
    return one, two
