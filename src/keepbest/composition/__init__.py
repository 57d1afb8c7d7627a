"""From composed config to objects: what the config may hold, what is checked before launch, what is made of it."""
