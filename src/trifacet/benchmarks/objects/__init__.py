"""What the hallucination benchmarks share: reading their files, finding objects and nouns, counting yes and no."""
