"""Texts from one dialect into another."""
