"""When things happen: log, evaluate, save, stop."""
