"""The page of a study: a table as in the paper, differences drawn with their intervals, claims with verdicts."""
