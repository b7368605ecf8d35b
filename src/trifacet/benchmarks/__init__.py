"""Public benchmarks: what they ask a model, and what its answers are worth."""
