"""A shop window that is one static page: it buys by APIs alone."""
