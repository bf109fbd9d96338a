"""Who waits is asked when time becomes free, the best first, one after the other."""
