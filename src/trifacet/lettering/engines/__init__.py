"""What reads letters, a file each; ``engine.py`` opens one by its settings."""
