"""Models side by side: contestants, tests, effect sizes, judged pairs, the document."""
