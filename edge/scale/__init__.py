"""Many deployments, or many images, on more than one machine: Dask's scheduler, the user's own."""
