"""Which words of a response matter most: candidates, and two ways to rank them."""
