"""Pure judgement: facts in, findings out, at a given `now`."""
