"""File formats -> what libraries load; each module has `convert(files, target)`.

`files` maps the names of verified files to their paths, `target` is an empty folder.
"""
