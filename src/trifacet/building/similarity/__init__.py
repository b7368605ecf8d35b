"""How alike posts are: signatures of pictures and texts, pairs worth comparing, comparison, clusters.

Invariant: what is found depends on the rows and on nothing else, and the memory taken is a few bytes a row.
"""
