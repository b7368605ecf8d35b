"""The words that stand in pictures: reading them, which of them matter, and what texts say of them.

Nothing here imports torch; an engine's package is imported when it is opened.
"""
