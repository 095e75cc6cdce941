"""A study: curricula side by side, each with several seeds, trained, measured, compared, and described in words."""
