"""The SQL of an import: staged rows against the registry, as sets, in one transaction.

`:op` is the operation; `:source`, `:version`, `:as_of` and `:regency` say of what the file is.
Temporary tables end with the transaction: `import_homes` and `import_people` say which row of the
registry each staged one is, `home_changes` and `people_changes` what it changes there.
"""
