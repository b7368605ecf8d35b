"""Texts in place on a WordPress site: its posts as an export or the REST API tells them, a plan, and what is sent."""
