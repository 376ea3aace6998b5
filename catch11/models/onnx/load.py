"""onnx: a graph run by onnxruntime; authorized through its front, or a rival."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import ModelRefused
from catch11.fronts.front import Front
from catch11.models.answer import answers_of, choose, first_line
from catch11.models.files.sidecar import class_names, read_sidecar, sidecar_pipeline
from catch11.models.frame import Model, local_file, move
from catch11.models.onnx.convert import Unsupported, onnx_to_torch
from catch11.models.onnx.file import graph_fingerprint, read_graph
from catch11.models.onnx.front import find_onnx_front
from catch11.models.onnx.run import Runtime

NEAR = 0.05  # of the largest logit; what quantisation rounds away differs by hundredths


def load(rest: str, *, device: str, allow_code: bool) -> Model:
    """Load an ONNX file and the JSON beside it. Raises ModelRefused, CanvasRefused, MissingExtra."""
    spec = f"onnx:{rest}"
    path = local_file(spec, rest)
    graph = OnnxGraph(spec, path, device=device)
    fingerprint = graph_fingerprint(spec, graph.model)
    facts = read_sidecar(path)
    canvas, prepare = sidecar_pipeline(facts)
    if graph.runtime.whole and not (set(canvas.gain) == {255.0} and not any(canvas.offset)):
        reason = "it takes pixels as whole numbers from 0 to 255, and the JSON beside it others"
        raise ModelRefused(spec, reason, 'write {"input_range": [0, 255]} without mean and std')
    graph.output = choose(spec, graph.outputs, facts.get("output"))
    found = answers_of(spec, lambda values: {graph.output: graph.run(values)}, canvas)
    module, notes = _in_torch(graph, canvas, device)
    return Model(
        name=path.stem,
        spec=spec,
        module=module,
        canvas=canvas,
        labels=class_names(spec, facts, found.classes),
        fingerprint=fingerprint,
        prepare=prepare,
        graph=graph,
        device=device,
        notes=notes,
        output=found.output,
        alone=found.alone,
    )


def _in_torch(
    graph: "OnnxGraph", canvas: Canvas, device: str
) -> tuple[nn.Module | None, tuple[str, ...]]:
    """The graph in torch, in float32, where that answers a picture as the runtime does; else why not."""
    windows = canvas.normalise(
        torch.rand(1, *canvas.shape, generator=torch.Generator().manual_seed(9))
    )
    meant = graph.run(windows)
    try:
        module = onnx_to_torch(graph.model, output=graph.output).float()
        with torch.no_grad():
            off = (module(windows) - meant).abs().max()
    except Unsupported as error:
        return None, (str(error),)
    except Exception as error:  # noqa: BLE001 - a stranger's graph may raise anything
        return None, (f"torch does not run it ({first_line(error)}).",)
    if not off <= NEAR * meant.abs().max():
        return None, ("torch answers a picture otherwise than onnxruntime.",)
    return move(graph.spec, module, device), ()


class OnnxGraph:
    """An ONNX file and its onnxruntime session."""

    def __init__(self, spec: str, path: Path, *, device: str = "cpu") -> None:
        self.spec = spec
        self.model = read_graph(spec, path)
        self.runtime = Runtime(spec, path, self.model.graph, device)
        self.outputs = self.runtime.outputs
        self.output = next(iter(self.outputs))

    def run(
        self, pixel_values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch ..."]:
        """Normalised windows to logits; a graph of fixed batch size is run so many at a time."""
        return self.runtime.run(pixel_values, self.output)

    def front(self, canvas: Canvas, *, layer: str | None = None) -> Front:
        """The first linear map of the graph. Raises NoFront."""
        return find_onnx_front(self.model, canvas, layer=layer)
