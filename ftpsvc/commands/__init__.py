"""The programs that put the layers together. Nothing imports these modules."""
