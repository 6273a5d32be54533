"""The leaderboard host: hidden labels, grading, submissions and their quota; embedded in a workspace for now."""
