"""What tenants can write to harm others, and that it harms nobody."""
