"""Readers of the small languages in users' annotations: one module for each.

The refusal of what can't be read names the accepted forms (`FORMS`).
"""
