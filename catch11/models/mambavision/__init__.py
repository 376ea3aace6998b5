"""MambaVision (arXiv 2407.08083) in plain PyTorch: the scan, the net, and its transformers classes."""
