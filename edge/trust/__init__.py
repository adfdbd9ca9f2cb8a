"""Who made it: Ed25519 keys in files, and signatures over runs, engines and bundles."""
