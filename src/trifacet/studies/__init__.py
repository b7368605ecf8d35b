"""Studies: many runs that differ in stated ways, what they share done once, and what came of the claims."""
