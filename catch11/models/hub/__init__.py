"""Models in transformers folders and from timm."""
