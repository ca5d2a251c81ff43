"""What runs inside the image's build, with nothing but the interpreter."""
