"""A small slurmdbd: who may use the cluster, within which limits, and what became of jobs.

It answers below `/slurmdb/` what the real one answered (recordings `accounting_*`), and holds
slurmctld's jobs to its associations and QOS (`control.Control`), as `AccountingStorageEnforce`
says.

    rows, forms, tres      what is kept, and how limits are written
    database, removal      accounts, users, associations, QOS: looked up, made, removed
    control, limits        who may submit, what waits and why
    history                jobs, also those that slurmctld has forgotten
    routes                 the endpoints: api (read, remove), adding, changing, shares; show

Left out: partitions in associations, coordinators, wckeys, several clusters, usage that decays
(the shares of everybody are unused) and the limits that the client can't set.
"""
