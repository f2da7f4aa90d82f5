"""Honest numbers: cases from a split, metrics from ranks, intervals and tests from paired resampling."""
