"""A pen as it works, live and recorded: frames, recordings in CSV, and how both are shown."""
