"""Datasets: each module turns one kind of source into a frame store."""
