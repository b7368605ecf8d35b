"""What bench/step_time.py and bench/growth.py share: inputs, contestants, turns and tables."""
