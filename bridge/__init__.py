"""slurm-bridge: ordinary Kubernetes pods wait in Slurm's queue and run where Slurm says."""

__version__ = "0.1.0"
