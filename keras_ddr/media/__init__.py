"""Reading of videos and pictures, whatever their container, depth or orientation."""
