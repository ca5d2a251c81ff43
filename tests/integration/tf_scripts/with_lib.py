"""Takes a word from a package in lib/, before and during a request."""

import json

import carried


def handler(data, context):
    import carried_later

    return json.dumps([carried.WORD, carried_later.WORD]), "application/json"
