"""``trifacet evaluate``: models and finished runs to texts, benchmarks, probes and scores."""
