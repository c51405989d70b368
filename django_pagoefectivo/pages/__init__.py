"""What the shopper sees: the payment page, its parts, and the words for a mail."""
