"""The verdict rule tried on simulated competitions, beside what people do instead."""
