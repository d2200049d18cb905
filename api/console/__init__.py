"""The review console: NiceGUI pages on the service's own application, under `/console`.

It holds no rules of its own: pages call the layers of the service with the acting principal.
"""
