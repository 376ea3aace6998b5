"""torch modules written as ONNX graphs, and graphs brought to a newer set of operators."""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from catch11.errors import MissingExtra
from catch11.models.answer import first_line
from catch11.models.onnx.file import import_onnx
from catch11.models.onnx.opening import OPSET

LIMIT = 1 << 31  # bytes that one protobuf file holds


def export_graph(module: nn.Module, windows: torch.Tensor, *, free: bool) -> Any:
    """A module as an onnx.ModelProto with input pixel_values and output logits.

    free: the batch axis. Raises RuntimeError, with a clause, where torch cannot write it.
    """
    onnx = import_onnx()
    # It remarks on every package that is not there.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    axes = ({0: torch.export.Dim("batch")},) if free else None
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            path = Path(folder) / "model.onnx"
            made = torch.onnx.export(
                module, (windows,), dynamo=True, opset_version=OPSET, dynamic_shapes=axes,
                input_names=["pixel_values"], output_names=["logits"], verbose=False,
            )  # fmt: skip
            assert made is not None
            made.save(path)
            return onnx.load(path)
    except ImportError:
        raise MissingExtra("onnxscript", "onnx") from None
    except Exception as error:  # noqa: BLE001 - the exporter raises anything
        raise RuntimeError(f"torch does not export it to ONNX ({first_line(error)})") from None


def newer(model: Any) -> Any:
    """The same graph in the operators that an opening needs. Raises RuntimeError, with a clause."""
    onnx = import_onnx()
    used = {one.domain: one.version for one in model.opset_import}
    if used.get("", used.get("ai.onnx", 0)) >= OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except Exception as error:  # noqa: BLE001 - the converter raises anything
        raise RuntimeError(
            f"onnx does not bring it to operators of version {OPSET} ({first_line(error)})"
        ) from None


def save_graph(model: Any, path: Path) -> None:
    """Write a graph, its weights beside it where one file cannot hold them."""
    onnx = import_onnx()
    beside = model.ByteSize() >= LIMIT
    onnx.save(
        model, str(path), save_as_external_data=beside, location=f"{path.name}.data" if beside else None,
    )  # fmt: skip
