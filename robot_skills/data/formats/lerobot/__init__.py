"""LeRobotDataset, v2.1 and v3.0: Parquet tables, MP4 videos or PNG columns."""
