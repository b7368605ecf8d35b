"""Looks into a model: where its attention goes, what noise in the picture changes, how far its texts lie from ours."""
