"""The whole life of a booking, branch by branch, on real servers, workers and beat."""
