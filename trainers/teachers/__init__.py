"""Teachers: distributions of the next character that a curriculum learns from. They read ids in the graph of a step."""
