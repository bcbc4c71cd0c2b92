"""Data: synthetic scenes, COCO-format sets, the simulated pose track, transforms."""
