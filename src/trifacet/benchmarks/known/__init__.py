"""One file per benchmark; each holds one ``BENCHMARK``."""
