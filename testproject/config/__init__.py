"""The example shop's project: settings, URLs and server entry points."""
