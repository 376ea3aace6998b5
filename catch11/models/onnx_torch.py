class Unsupported(Exception):
    pass


def onnx_to_torch(model, *, output):
    raise Unsupported("x")
