"""What runs the notebooks, and builds and checks the site. Run from the repository's root: `python -m tools.site build`."""
