"""Reports: the record of a run, numbers of a picture, sheets and curves."""
