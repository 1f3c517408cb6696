"""How much of a prompt the built-in model draws: `python -m engine.builtin.evaluate`."""

from recipe.evaluate import main

if __name__ == "__main__":
    main()
