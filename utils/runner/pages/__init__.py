"""HTML pages of executed notebooks: each is one file that needs no network and fits a phone."""
