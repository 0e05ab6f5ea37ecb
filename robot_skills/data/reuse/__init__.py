"""More out of the data there is: retrieval, relabelling, and a quality score for each demonstration."""
