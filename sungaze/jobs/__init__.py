"""The room where store and vendors meet: what is owed is asked for, and what comes is kept."""
