"""Finding, following and cropping faces, for the data sets that show people."""

from keras_ddr.faces.boxes import Face
from keras_ddr.faces.cropping import crop_aligned, crop_square
from keras_ddr.faces.detector import FaceDetector
from keras_ddr.faces.tracking import Sighting, follow

__all__ = ["Face", "FaceDetector", "Sighting", "crop_aligned", "crop_square", "follow"]
