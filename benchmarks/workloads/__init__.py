"""The workloads by name, in the order in which they are run and printed."""

from benchmarks.workload import Workload
from benchmarks.workloads import elementwise, overhead, rows, training

WORKLOADS: dict[str, Workload] = {
    **overhead.WORKLOADS,
    **training.WORKLOADS,
    **elementwise.WORKLOADS,
    **rows.WORKLOADS,
}
