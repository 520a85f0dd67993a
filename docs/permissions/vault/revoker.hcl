# Deletes secret ids of role `app`, each by its accessor. keyroll deletes only what the journal says: the proved old key, or one it made.
path "auth/approle/role/app/secret-id-accessor/destroy" { capabilities = ["update"] }
