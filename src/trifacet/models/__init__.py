"""Checkpoints and families: loading, saving, what is trained, how two models differ."""
