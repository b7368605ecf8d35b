"""FSDP2 on CPU processes: torch can, but accelerate's AcceleratorState switches it on for accelerators only."""

from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType


def let_fsdp_onto_the_cpu() -> None:
    """From here on ``ACCELERATE_USE_FSDP`` counts on the CPU as it does on a GPU."""
    begin = AcceleratorState.__init__

    def init(self, *arguments, **options):
        begin(self, *arguments, **options)
        shared = AcceleratorState._shared_state
        if options.get("fsdp_plugin") is not None:
            shared["fsdp_plugin"] = options["fsdp_plugin"]
        if shared.get("fsdp_plugin") is not None:
            shared["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = init
