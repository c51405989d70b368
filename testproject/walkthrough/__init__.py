"""A purchase from the catalogue to the paid order, played over real HTTP."""
