"""A model directory: from the archive to its layout, its signature and the loaded service."""
