"""How other engines' runs come in, and how the demo's are made: clients of the API like any other."""
