"""Rejected versions of images and contexts: strategies and what is drawn."""
