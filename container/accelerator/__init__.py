"""`ei accelerator ...`: what a user does about an accelerator from a terminal.

    types -> serve (or up, or the image) -> attach -> status
             certificate, token             measure

`cli` has the commands; each module beside it is what one of them does.
"""
