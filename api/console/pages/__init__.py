"""The console's pages, one module each; importing one registers it."""
