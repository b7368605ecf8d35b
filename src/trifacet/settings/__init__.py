"""Typed YAML: sections, reading with overrides, tables of keys for the docs."""
