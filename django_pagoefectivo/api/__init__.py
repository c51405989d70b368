"""The REST API for shops without pages of their own: Django REST framework, JSON only."""
