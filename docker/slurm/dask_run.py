#!/usr/bin/env python3
"""One run over many micrographs on Dask workers, each a Slurm job that comes and goes with the work.

dask_run.py MICROGRAPHS OUT.motif --jobs 10

Start it where jobs can be submitted and which the nodes can reach, with motifgpu and its extra `dask`
installed or inside the image. A worker is one job and takes one micrograph at a time. Workers leave before
their time is over and finish what they have begun; the run may be stopped and started again.
"""

from __future__ import annotations

import argparse

from dask_jobqueue import SLURMCluster
from distributed import Client

from motifgpu import dataset


def minutes(text: str) -> int:
    """Return the minutes in a time limit as Slurm writes it, HH:MM:SS."""
    hours, rest, _ = map(int, text.split(":"))
    return 60 * hours + rest


def cluster(args: argparse.Namespace) -> SLURMCluster:
    """Return a cluster without workers, whose jobs are as `args` say."""
    return SLURMCluster(
        cores=1,
        processes=1,
        job_cpu=args.cpus,
        memory=args.memory,
        walltime=args.time,
        python=args.python,
        job_extra_directives=[f"--gpus={args.gpus}", *args.directive],
        worker_extra_args=["--lifetime", f"{max(1, minutes(args.time) - 5)}m", "--lifetime-stagger", "2m"],
        job_script_prologue=[f"export MOTIFGPU_THREADS={args.cpus}"],
    )


def main() -> None:
    """Run with as many workers as there is work for, `--jobs` at most."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("micrographs", nargs="+", help="files and folders")
    parser.add_argument("out", help="folder of the run, OUT.motif")
    parser.add_argument("--jobs", type=int, default=10, help="workers at most (default: 10)")
    parser.add_argument("--cpus", type=int, default=8, help="of a worker (default: 8)")
    parser.add_argument("--gpus", type=int, default=1, help="of a worker (default: 1)")
    parser.add_argument("--memory", default="32GB", help="of a worker (default: 32GB)")
    parser.add_argument("--time", default="04:00:00", help="of a job, HH:MM:SS (default: 04:00:00)")
    parser.add_argument(
        "--directive", action="append", default=[], help="more for #SBATCH, such as --partition=gpu"
    )
    parser.add_argument(
        "--python",
        default="apptainer exec --nv motifgpu.sif with-scratch python",
        help="what a worker starts Python with (default: %(default)s)",
    )
    args = parser.parse_args()
    with cluster(args) as workers, Client(workers) as client:
        workers.adapt(minimum=1, maximum_jobs=args.jobs)
        found = dataset.run(args.micrographs, args.out, client=client)
    print(found.report())


if __name__ == "__main__":
    main()
