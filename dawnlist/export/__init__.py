"""Bundles for a CMS, made from what is published. `docs/export-contract.md` is their contract.

    <home>/exports/cms/000007/                  the full bundle 7: parts of documents, and a manifest that is written last
                       000007-from-000005/      what changed since bundle 5, for a consumer that has acknowledged that one
                       latest                   a link to the newest full bundle, replaced in one step
                       hashes/000007.parquet    the hash of each document of bundle 7, from which later deltas are found
                       consumers.json           who has acknowledged what

`documents` makes the documents, `parts` writes them to files, `delta` finds what changed, `contract` is what the receiving side checks,
`shelf` is the folder of bundles, `consumers` the acknowledgements, and `make` a night's export. `deliver` sends bundles to folders and stores,
and to a CMS by HTTP (`http`): with `post` by the contract, with `shape` by a preset of `presets`. `compare` finds how a CMS differs from a bundle,
`reconcile` says so, and `repair` makes the delta that mends it. docs/cms.md.
"""

from dawnlist.export.contract import MANIFEST, schema, verify
from dawnlist.export.make import Bundle, export
from dawnlist.export.shelf import latest

__all__ = ["MANIFEST", "Bundle", "export", "latest", "schema", "verify"]
