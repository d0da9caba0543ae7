"""Asks an autoscaler for the nodes that gangs lack.

A gang waits behind its gate, which autoscalers ignore, while the present nodes could ever take it:
a busy pool is a queue. If none could, `controller` asks for exactly what is missing, and takes the
request back when it is not needed any more. How a request is written is a `RequestWriter`:
`placeholder_pods` (pods that can never run), `provisioning` (ProvisioningRequests) or `scaling`
(replicas of objects that are nodes, counted by `machines`). `present` (what the present nodes could
hold if all jobs had ended), `plan` (what is to be asked for), `machines` and `sentences` are pure.

Never imports `admission`, `controller`, `extender` or `nodes`: which gangs lack nodes is handed in.
"""
