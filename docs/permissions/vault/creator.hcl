# Makes and finds the secret ids of role `app`: what a `vault_approle` provider needs to create.
path "auth/approle/role/app" { capabilities = ["read"] }
path "auth/approle/role/app/role-id" { capabilities = ["read"] }
path "auth/approle/role/app/secret-id" { capabilities = ["list", "update"] }
path "auth/approle/role/app/secret-id/lookup" { capabilities = ["update"] }
path "auth/approle/role/app/secret-id-accessor/lookup" { capabilities = ["update"] }

# In Vault's `default` policy already, unless the token is made without it.
path "sys/capabilities-self" { capabilities = ["update"] }
