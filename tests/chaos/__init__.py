"""Everything goes wrong at once, under load: `python -m tests.chaos` tells what of it anybody would notice.

`system` is the deployment, `people` the load, `havoc` what goes wrong, `flood` a tenant and clients that want
it to. `ledger` compares the two remotes, `story` tells what became of a message that went wrong, `proofs`
measures what a random run does not show.
"""
