"""From ids to logits."""
