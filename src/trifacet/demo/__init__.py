"""The demo's world: rendered posts, tiny models, a scripted endpoint."""
