"""Tracks of animals: files of other programs, and where they say an animal is."""
