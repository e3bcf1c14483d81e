"""Scans in and out: DICOM, NIfTI and pictures; geometry; resampling."""
