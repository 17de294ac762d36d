"""The API: thin routes over the store's facts, assembled in `app`."""
