"""Rules and profiles edited in the service: their versions, who publishes them, what they would change, who follows them."""
