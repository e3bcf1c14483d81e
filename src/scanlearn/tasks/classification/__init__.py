"""Classification: what single images show."""
