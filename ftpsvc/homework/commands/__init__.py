"""The commands of `ftpsvc-grade`, each in a module of its own."""
