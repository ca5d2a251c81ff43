"""The names of AWS's inference toolkit 1.10 that scripts import; written anew, without pickle, scipy or a Java server."""
