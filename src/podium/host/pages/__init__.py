"""The host's web pages: rendered here, readable without scripts, made livelier by one small script of our own."""
