"""Documents of complaints: who may add and read them, the clean copies, the files behind."""
