"""Where measurements and sample texts go."""
