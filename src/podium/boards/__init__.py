"""Leaderboards behind one interface: the local one, Kaggle through its official client, podium's own host."""
