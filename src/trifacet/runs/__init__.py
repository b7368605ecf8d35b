"""A whole run: stages, texts, scores, the report; what was done is not done again."""
