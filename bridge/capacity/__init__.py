"""Asks an autoscaler for the nodes that gangs lack.

A gang waits behind its gate, which autoscalers ignore, while the present nodes could ever take it:
a busy pool is a queue. If none could, `controller` asks for exactly what is missing, with pods that
can never run (`bridge.kube.objects.placeholders`), and takes the request back when it is not needed
any more. `present` (what the present nodes could hold if all jobs had ended), `plan` (what is to be
asked for) and `sentences` are pure.

Never imports `admission`, `controller`, `extender` or `nodes`: which gangs lack nodes is handed in.
"""
