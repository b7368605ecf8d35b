"""The version. Invariant: rooms take it from here, so that none of them imports the package's face."""

__version__ = "0.1.0"
