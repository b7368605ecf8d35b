"""Recipes and their stages: samples to batches, the reference, the trainer, several processes, what is watched."""
