"""Our metrics beside the official programs' on data that we did not write: ``make parity``."""
