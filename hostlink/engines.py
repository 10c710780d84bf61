"""Where jobs run: this process and its pool, or `dask.distributed`. A worker that dies costs a repetition, never a silent gap."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from hostlink.errors import UsageError
from hostlink.findings import Finding, Result
from hostlink.fleet import Job, run

REPEATS = 2
SCHEDULER_SECONDS = 5
WORKER_SECONDS = 10
MALLOC = {f"distributed.nanny.pre-spawn-environ.MALLOC_{name}_THRESHOLD_": 1 << 28 for name in ("TRIM", "MMAP")}
"""What a worker of our own keeps of freed memory: Dask's 64 KiB has every array's pages faulted in anew, a third of its time."""


def results(
    jobs: Iterable[Job], engine: str, workers: int, work: Callable[[Job], Result] = run
) -> Iterator[tuple[Job, Result]]:
    """The result of each job as it is done. `engine`: local, dask, or dask=tcp://HOST:PORT. Raises UsageError."""
    if engine == "local":
        yield from (_here(jobs, work) if workers == 1 else _pool(list(jobs), workers, work))
    elif engine == "dask" or engine.startswith("dask="):
        yield from _dask(list(jobs), engine.removeprefix("dask").removeprefix("="), workers, work)
    else:
        raise UsageError(f"--engine: expected local, dask or dask=tcp://HOST:PORT, got {engine}")


def _here(jobs: Iterable[Job], work: Callable[[Job], Result]) -> Iterator[tuple[Job, Result]]:
    for job in jobs:
        yield job, work(job)


def _pool(jobs: list[Job], workers: int, work: Callable[[Job], Result]) -> Iterator[tuple[Job, Result]]:
    """A pool of processes; a pool that breaks is replaced, and what it had under way is done again, one job at a time."""
    waiting = list(reversed(jobs))
    tried: dict[int, int] = {}
    abreast = 2 * workers
    while waiting:
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        under_way: dict[Future[Result], Job] = {}
        try:
            while waiting or under_way:
                while waiting and len(under_way) < abreast:
                    job = waiting.pop()
                    under_way[pool.submit(work, job)] = job
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()
                    yield under_way.pop(future), result
        except BrokenProcessPool:
            abreast = 1
            for job in under_way.values():
                tried[id(job)] = tried.get(id(job), 0) + 1
                if tried[id(job)] > REPEATS:
                    yield job, _died(job)
                else:
                    waiting.append(job)
        finally:
            pool.shutdown(cancel_futures=True)


def _dask(jobs: list[Job], address: str, workers: int, work: Callable[[Job], Result]) -> Iterator[tuple[Job, Result]]:
    try:
        from dask import config
        from dask.distributed import Client, KilledWorker, LocalCluster, as_completed
    except ImportError:
        raise UsageError("--engine dask: expected dask.distributed; pip install 'tonne[cluster]'") from None
    cluster = None
    try:
        if address:
            client = Client(address, timeout=SCHEDULER_SECONDS, set_as_default=False)
        else:
            with config.set(MALLOC):
                cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            client = Client(cluster, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"expected a Dask scheduler at {address}: {reason}; start one, or use --engine local"
        ) from None
    try:
        try:
            client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError:
            raise UsageError(
                f"expected a worker on the Dask scheduler at {address}, none came within {WORKER_SECONDS} s; start one with"
                f" `dask worker {address}`, or use --engine local"
            ) from None
        waiting = list(reversed(jobs))
        by_key: dict[object, Job] = {}
        under_way = as_completed([], loop=client.loop)
        abreast = 2 * max(len(client.scheduler_info()["workers"]), 1)

        def submit() -> None:
            job = waiting.pop()
            future = client.submit(work, job, pure=False, retries=REPEATS)
            by_key[future.key] = job
            under_way.add(future)

        while waiting and len(by_key) < abreast:
            submit()
        for future in under_way:
            job = by_key.pop(future.key)
            try:
                yield job, future.result()
            except KilledWorker:
                yield job, _died(job)
            if waiting:
                submit()
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _died(job: Job) -> Result:
    """A job whose worker died again and again: its files are told as not verified."""
    text = "the worker died each time it looked at this file: not verified; more memory, or fewer --workers"
    return Result(files=len(job.files), findings=[Finding("file", file.entry.path, 0, 0, text) for file in job.files])
