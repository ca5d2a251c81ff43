"""The tools that ship the server: a Docker engine, a base image, the images, and running one as the platform would."""
