"""What a correction is measured against, made of the same parts: one file, one method."""
