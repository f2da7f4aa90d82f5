"""Users and items as vectors, biases and their products."""
