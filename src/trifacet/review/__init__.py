"""Human judgement: a local page that shows two models' texts blind, a store of the votes, and what they add up to."""
