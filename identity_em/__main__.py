"""`python -m identity_em` is `identity-em`."""

from identity_em.cli import main

if __name__ == "__main__":
    main()
