"""Read an ONNX file as a stranger's: external data stays in its folder, weights are numbers."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from catch11.errors import ModelRefused
from catch11.fronts.fingerprint import digest
from catch11.lab import needed
from catch11.models.answer import first_line


def import_onnx() -> Any:
    """The onnx package. Raises MissingExtra."""
    return needed("onnx", "onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInput:
    """A graph's only input that is not a weight: batch 0 where it is free, side 0 where one is."""

    name: str
    batch: int
    sides: tuple[int, ...]
    channels_last: bool


def picture_input(graph: Any) -> PictureInput:
    """The input pictures go in at, (n, c, h, w) or, as its sizes tell, (n, h, w, c).

    Raises ValueError, with a clause, for a graph that takes none or several.
    """
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [one for one in graph.input if one.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs) or "none"
        raise ValueError(f"it takes {len(inputs)} inputs ({names}), not one")
    sides = tuple(int(side.dim_value) for side in inputs[0].type.tensor_type.shape.dim)
    last = len(sides) == 4 and sides[3] in (1, 3) and sides[1] not in (1, 3)
    batch = sides[0] if sides else 0
    return PictureInput(name=inputs[0].name, batch=batch, sides=sides[1:], channels_last=last)


def read_graph(spec: str, path: Path) -> Any:
    """The model in an ONNX file, external data loaded after their paths were checked.

    Raises ModelRefused, naming the tensor and the path.
    """
    onnx = import_onnx()
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # noqa: BLE001 - protobuf raises its own types
        raise ModelRefused(spec, f"it is not an ONNX file ({first_line(error)})") from None
    if not model.graph.node:
        raise ModelRefused(spec, "its graph has no nodes")
    folder = path.parent.resolve()
    for tensor in _all_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            reason = _outside(tensor, folder)
            if reason is not None:
                raise ModelRefused(
                    spec, f"external data of {tensor.name or 'a constant'}: {reason}"
                )
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(folder))
    except Exception as error:  # noqa: BLE001 - the reader's own checks raise several types
        raise ModelRefused(
            spec, f"its external data cannot be read ({first_line(error)})"
        ) from None
    _sort(model.graph)
    return model


def _sort(graph: Any) -> None:
    """Nodes in the order of their use, which the standard asks for and some tools do not keep."""
    makers = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    needs: dict[int, set[int]] = {}
    for place, node in enumerate(graph.node):
        inner = (one for fact in node.attribute for one in fact.g.node)  # of a branch
        read = (*node.input, *(name for one in inner for name in one.input))
        needs[place] = {makers[name] for name in read if name in makers}
    if all(max(before, default=-1) < place for place, before in needs.items()):
        return
    with suppress(CycleError):
        order = {place: rank for rank, place in enumerate(TopologicalSorter(needs).static_order())}
        ranks = {name: order[place] for name, place in makers.items()}
        graph.node.sort(key=lambda node: min((ranks.get(n, 0) for n in node.output), default=0))


def graph_fingerprint(spec: str, model: Any) -> str:
    """SHA-256 over initialisers and constants. Raises ModelRefused without weights or with NaN."""
    onnx = import_onnx()
    rows = []
    weights = 0
    for tensor in named_tensors(model):
        try:
            values = onnx.numpy_helper.to_array(tensor)
        except Exception as error:  # noqa: BLE001 - a tensor whose bytes and shape disagree
            raise ModelRefused(
                spec, f"its tensor {tensor.name} is damaged ({first_line(error)})"
            ) from None
        kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        if np.issubdtype(values.dtype, np.floating) or values.dtype.itemsize == 1:
            weights += values.size if values.size > 1 else 0
            _check_numbers(spec, tensor.name, values)
        data = np.ascontiguousarray(values).tobytes()
        rows.append((tensor.name, kind, tuple(values.shape), data))
    if not weights:
        raise ModelRefused(spec, "it holds no weights")
    return digest(rows)


def named_tensors(model: Any) -> Iterator[Any]:
    """Initialisers, and the tensors of Constant nodes under the name of their output."""
    yield from model.graph.initializer
    for node in model.graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    tensor = type(attribute.t)()
                    tensor.CopyFrom(attribute.t)
                    tensor.name = node.output[0]
                    yield tensor


def _check_numbers(spec: str, name: str, values: np.ndarray) -> None:
    if not np.issubdtype(values.dtype, np.floating):
        return
    # A single infinity is an operator's bound (Clip, a mask), not a weight.
    bad = np.isnan(values) if values.size == 1 else ~np.isfinite(values)
    if bad.any():
        raise ModelRefused(
            spec,
            f"NaN or infinity in its weight {name}",
            "the file is damaged or its training diverged",
        )


def _outside(tensor: Any, folder: Path) -> str | None:
    """Why a tensor's external data must not be read, or None."""
    facts = {entry.key: entry.value for entry in tensor.external_data}
    location = facts.get("location", "")
    parts = (*PurePosixPath(location).parts, *PureWindowsPath(location).parts)
    if not location or "\0" in location:
        return "its location is empty or not a path"
    if PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor:
        return f"its location {location!r} is absolute; only files beside the model are read"
    if ".." in parts:
        return f"its location {location!r} leaves the model's folder"
    target = (folder / location).resolve()
    if not target.is_relative_to(folder):
        return f"its location {location!r} is a link out of the model's folder"
    if not target.is_file():
        return f"there is no file {location!r} beside the model"
    offset, length = facts.get("offset", "0"), facts.get("length", "0")
    if not offset.isdecimal() or not length.isdecimal():
        return "its offset or length is not a number"
    if int(offset) + int(length) > target.stat().st_size:
        return f"it lies beyond the end of {location!r}"
    return None


def _all_tensors(model: Any) -> Iterator[Any]:
    """Every tensor of the file, also those in subgraphs and functions."""
    pending = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while pending or nodes:
        if not nodes:
            graph = pending.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes = list(graph.node)
            continue
        for attribute in nodes.pop().attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            pending += [attribute.g] if attribute.HasField("g") else []
            pending += list(attribute.graphs)
