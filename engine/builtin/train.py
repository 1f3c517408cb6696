"""The recipe that trained the built-in model, from nothing: `python -m engine.builtin.train`."""

from recipe.train import main

if __name__ == "__main__":
    main()
