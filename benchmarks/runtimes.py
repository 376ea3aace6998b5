"""What a net runs in beside torch as it is: ONNX Runtime, on one thread."""

from typing import Any

from torch import Tensor, nn

from catch11.fronts.find import first_tensor
from catch11.lab import needed


class Plain(nn.Module):
    """A net, of transformers too, that returns one tensor."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Tensor) -> Tensor:
        return first_tensor(self.net(pixel_values))


def session(graph: Any) -> Any:
    """An onnx.ModelProto or the path of one, ready to run."""
    onnxruntime = needed("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    given = graph.SerializeToString() if hasattr(graph, "SerializeToString") else str(graph)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
