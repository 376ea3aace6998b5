"""torch modules written as ONNX graphs, and graphs brought to a newer set of operators."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from catch11.errors import MissingExtra
from catch11.models.answer import cause_line, first_line
from catch11.models.onnx.file import import_onnx
from catch11.models.onnx.opening import OPSET

LIMIT = 1 << 31  # bytes that one protobuf file holds


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporters that remark on every package that is not there, and print a graph that they cannot
    write: what went wrong is in the error."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def export_graph(module: nn.Module, windows: torch.Tensor, *, free: bool) -> Any:
    """A module as an onnx.ModelProto with input pixel_values and output logits.

    free: the batch axis. Raises RuntimeError, with a clause, where torch cannot write it.
    """
    onnx = import_onnx()
    axes = ({0: torch.export.Dim("batch")},) if free else None
    try:
        with quiet(), tempfile.TemporaryDirectory() as folder:
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
        raise RuntimeError(f"torch does not export it to ONNX ({cause_line(error)})") from None


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
