"""Finding, following and cropping faces, for the data sets that show people."""
