"""What benchmarks/step_time.py and benchmarks/growth.py share: inputs, contestants, turns and tables."""
