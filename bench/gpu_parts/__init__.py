"""The parts of bench/gpu.py, each of which measures one thing and can fail alone."""
