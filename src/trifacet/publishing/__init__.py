"""Models for other programs: written in their form, loaded anew by them, told of in a card, sent to a hub."""
