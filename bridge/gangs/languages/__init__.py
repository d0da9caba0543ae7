"""What users write in annotations, read: one module for each small language.

The refusal of what can't be read names the accepted forms (`FORMS`).
"""
