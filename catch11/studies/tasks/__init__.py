"""Public benchmarks as the studies read them."""
