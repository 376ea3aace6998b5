"""onnx: a graph run by onnxruntime; authorized through its front, or a rival."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.fronts.front import Front
from catch11.models.answer import answers_of, choose
from catch11.models.files.sidecar import class_names, read_sidecar, sidecar_pipeline
from catch11.models.frame import Model, local_file, move
from catch11.models.onnx.convert import Unsupported, onnx_to_torch
from catch11.models.onnx.file import graph_fingerprint, read_graph
from catch11.models.onnx.front import find_onnx_front
from catch11.models.onnx.run import Runtime


def load(rest: str, *, device: str, allow_code: bool) -> Model:
    """Load an ONNX file and the JSON beside it. Raises ModelRefused, CanvasRefused, MissingExtra."""
    spec = f"onnx:{rest}"
    path = local_file(spec, rest)
    graph = OnnxGraph(spec, path, device=device)
    fingerprint = graph_fingerprint(spec, graph.model)
    facts = read_sidecar(path)
    canvas, prepare = sidecar_pipeline(facts)
    graph.output = choose(spec, graph.outputs, facts.get("output"))
    found = answers_of(spec, lambda values: {graph.output: graph.run(values)}, canvas)
    notes: tuple[str, ...] = ()
    module = None
    try:
        module = move(spec, onnx_to_torch(graph.model, output=graph.output), device)
    except Unsupported as error:
        notes = (str(error),)
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
