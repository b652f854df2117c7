"""Figures of estimates. A plot draws values on an axes and returns its artists; `save` alone writes files.

Only matplotlib's object-oriented interface is used: no pyplot, no current figure, no window, no lasting rcParams.
"""
