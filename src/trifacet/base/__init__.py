"""What everything stands on: errors, files, folders, images, digests, draws, progress, words."""
