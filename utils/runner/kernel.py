"""The kernel that notebooks run on."""

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default


class EnvironmentKernelManager(AsyncKernelManager):
    """Starts `python3` from the running environment.

    A kernelspec of that name in the home folder or on JUPYTER_PATH may start another Python; with
    no folder to search, ipykernel's own spec for this interpreter remains.
    """

    @default("kernel_spec_manager")
    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])
