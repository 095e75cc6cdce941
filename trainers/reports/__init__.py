"""Measurements and samples: files, TensorBoard, the terminal."""
