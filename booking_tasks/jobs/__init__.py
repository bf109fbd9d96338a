"""Running follow-up work: job rows are leased, fenced and finished once."""
