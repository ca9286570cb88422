"""A process that works on batches of files; `motifgpu.dataset.executors` starts it with ``python -m``.

The job and then the batches come as lines of JSON on standard input, summaries go as lines of JSON to what
was standard output. When the input ends, because the run is over or its process was killed, so does this
process; results are written whole or not at all, so it may do that at any moment.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback

from motifgpu.dataset.job import Job
from motifgpu.dataset.memory import peak_bytes
from motifgpu.dataset.prefetch import Prefetcher
from motifgpu.dataset.tasks import Summary
from motifgpu.io.formats import guard


def main() -> None:
    """Answer until standard input ends; whatever else ends it, this process ends with it."""
    try:
        _work()
    finally:  # threads may wait for what never comes
        os._exit(1)


def _work() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints must not get among the answers
    for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C and the end of a terminal are the parent's to handle
    requests: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()
    job = Job.from_json(sys.stdin.readline())

    def listen() -> None:
        try:
            for line in sys.stdin:
                requests.put(line)
            guard.close()
            os._exit(0)
        finally:
            os._exit(1)

    def done(number: int, summaries: list[Summary]) -> None:
        answers.write(json.dumps({"batch": number, "files": summaries, "peak_bytes": peak_bytes()}) + "\n")
        answers.flush()

    try:
        threading.Thread(target=listen, daemon=True).start()
        answers.write('{"ready": true}\n')
        answers.flush()
        prefetcher = Prefetcher(job, done, requests.put)
        while True:
            while not prefetcher.busy or not requests.empty():
                request = requests.get()
                if isinstance(request, BaseException):
                    raise request
                wanted = json.loads(request)
                prefetcher.submit(wanted["batch"], wanted["paths"])
            prefetcher.step()
    except BaseException:  # no file's fault, or a bug: say so, whatever it is
        answers.write(json.dumps({"error": traceback.format_exc()}) + "\n")
        answers.flush()
        guard.close()


if __name__ == "__main__":
    main()
