"""A trained model writes."""
