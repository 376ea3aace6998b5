"""What a front does not see: of patches, of overlapping convolutions, of several models."""
