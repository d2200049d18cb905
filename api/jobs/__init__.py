"""Work that outlives a request: uploads and re-screenings, cut into blocks that worker processes do under leases."""
