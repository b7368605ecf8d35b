"""From raw posts to verified data sets: sources, steps, parts that survive a kill, outputs."""
