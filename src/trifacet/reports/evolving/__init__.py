"""The page of a run of ``trifacet evolve``: what the model built, and whether its verifier is worth trusting."""
