"""The leaderboard server: competitions, teams, submissions, standings; for browsers and the official kaggle client."""
