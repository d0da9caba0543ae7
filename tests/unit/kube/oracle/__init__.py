"""Kubernetes itself, asked beforehand: pods and what it makes of them."""
