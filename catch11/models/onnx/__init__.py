"""ONNX graphs: run, read and converted to torch."""
