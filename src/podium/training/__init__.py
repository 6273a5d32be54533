"""Training: losses, optimisers, schedules and the loop that runs one fold of one recipe."""
