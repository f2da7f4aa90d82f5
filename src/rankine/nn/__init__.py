"""Layers, losses and samplers: parts that several models share; they see arrays and tensors only."""
