"""Files of images other than DICOM, in and out."""
