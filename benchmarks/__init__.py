"""What is measured beside the package: `python benchmarks`."""
