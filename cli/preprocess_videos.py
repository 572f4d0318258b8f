"""`ddr preprocess affwild|affwild2|arrays|videos|images`: sources of many files."""

from ddr_cli.preprocess_options import from_files


@from_files("Your videos: faces, the middle, or whole frames.", "source")
def videos() -> None:
    """Read the videos at SOURCE into STORE.

    SOURCE is a video, a folder that is searched with all its subfolders, or a .txt file
    with one path a line. Frame labels hold the frame number and time in the video, and
    where the face was. STORE.report.csv says what became of each video. After an
    interruption the same command goes on from there.
    """


@from_files("Pictures: a folder is a sequence.", counted="folders")
def images() -> None:
    """Read the folders of pictures below ROOT into STORE.

    Each folder is a sequence, in the natural order of the file names. 16 bits,
    palettes, transparency, CMYK and EXIF rotation are handled.
    """


@from_files("Aff-Wild (2018): faces with valence and arousal.")
def affwild() -> None:
    """Read Aff-Wild, as distributed, from ROOT into STORE.

    Faces are cropped by the boxes that come with the videos (bboxes/…/ID/FRAME.pts),
    and by a detector where there are none. Valence and arousal become frame labels.
    """


@from_files("Aff-Wild2, from its cropped_aligned pictures.", counted="folders")
def affwild2() -> None:
    """Read Aff-Wild2 from ROOT into STORE.

    ROOT holds cropped_aligned/VIDEO/00001.jpg and the annotation files. Two people of
    one video (VIDEO_left, VIDEO_right) become sequences of their own in one split.
    """


@from_files("Stacks: TIFF, HDF5, Zarr, .npy and .npz.", "source", "sequences")
def arrays() -> None:
    """Read the stacks at SOURCE into STORE.

    SOURCE is a file (TIFF, ImageJ and OME too, HDF5, Zarr, OME-Zarr, .npy or .npz) or a
    folder that is searched with all its subfolders. A file is a sequence, or as many as
    it has positions or --axes names with N. Frames of one file are all scaled alike.
    """
