"""``python -m motifgpu`` is the command ``motifgpu``."""

import signal
import sys


def main() -> int:
    """Import and run the command, and return its exit code.

    Until it is imported nothing has begun, and Ctrl-C ends this process without a word, as other signals do.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # and not ignored, as in a script
    if usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from motifgpu import cli

    if usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
