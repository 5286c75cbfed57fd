"""What a page about a run is made of: measurements, charts, and HTML. Nothing here reads a run folder."""
