"""Readers: Parquet, CSV and JSON Lines files become a Dataset; what cannot be read is accounted for, row by row."""

from rankine.data.readers.config import DataConfig, TableConfig
from rankine.data.readers.read import Read, read_dataset

__all__ = ["DataConfig", "Read", "TableConfig", "read_dataset"]
