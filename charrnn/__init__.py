"""Character-level recurrent language models: characters in, characters out."""
