"""Questions over many estimates: what if, how much is needed, which is best."""
