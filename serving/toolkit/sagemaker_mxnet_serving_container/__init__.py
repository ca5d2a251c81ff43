"""The names of AWS's MXNet serving container that scripts and entry points import; written anew."""
