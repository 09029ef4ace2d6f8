"""The workloads by name, in the order in which they are run and printed."""

from benchmarks.workload import Workload
from benchmarks.workloads import (
    arrays,
    doors,
    elementwise,
    networks,
    orders,
    overhead,
    rows,
    startup,
    training,
)

WORKLOADS: dict[str, Workload] = {
    **overhead.WORKLOADS,
    **doors.WORKLOADS,
    **training.WORKLOADS,
    **elementwise.WORKLOADS,
    **rows.WORKLOADS,
    **arrays.WORKLOADS,
    **networks.WORKLOADS,
    **orders.WORKLOADS,
    **startup.WORKLOADS,
}
